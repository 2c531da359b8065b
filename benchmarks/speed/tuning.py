"""A search of trials in one pass, against the same trainings one by one, and what it finds against the shipped config.

python -m benchmarks.speed.tuning TRAIN.spacy DEV.spacy [--trials 12] [--group 4] [--min-steps 3000] [--no-prune]

`configs/ner.cfg` with the space of docs/guides/tuning.md. First `tune` runs, then each of its trials is trained alone,
to its end, as by `spacy train`. Both sides initialise, evaluate and save.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import typer
from spacy.training.initialize import init_nlp
from spacy.util import load_config
from thinc.api import Config

from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.reading import parse_object
from spacy_ptv2.training.run import train
from spacy_ptv2.training.trials import Trial
from spacy_ptv2.tuning.results import FINISHED, Result, best_of
from spacy_ptv2.tuning.space import Space, build_distribution
from spacy_ptv2.tuning.tune import Tuning, tune

from ..lib.pipelines import CONFIGS, MINILM
from ..lib.results import record, table
from ..lib.training import ENCODER

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "tuning.md"


class Heard:
    """Hears how a search goes on, and prints a part of it."""

    def on_group(self, names: Sequence[str], n_left: int, seconds_left: float | None) -> None:
        """See `Watcher`."""
        print(f"{', '.join(names)} of {n_left}", flush=True)

    def on_evaluation(self, trial: Trial, info: Mapping[str, Any], seconds_left: float | None) -> None:
        """See `Watcher`."""

    def on_note(self, text: str) -> None:
        """See `Watcher`."""
        print(text, flush=True)


def main(
    train_path: Path,
    dev_path: Path,
    trials: int = 12,
    group: int = 4,
    epochs: int = 8,
    min_steps: int = 3000,
    sentences: int = 0,
    dev_sentences: int = 0,
    prune: bool = True,
    backbone: str = MINILM,
    results: Path | None = None,
) -> None:
    """Print and record the scores of all trials, and the ratio of the times. sentences: Of train, 0 for all."""
    _held = get_backbone(BackboneSource(backbone))  # as long as this lives, nothing is loaded again
    changes = {
        "paths.train": str(train_path),
        "paths.dev": str(dev_path),
        "corpora.train.limit": sentences,
        "corpora.dev.limit": dev_sentences,
        f"{ENCODER}.backbone.name": backbone,
        "initialize.before_init.epochs": epochs,
        "initialize.before_init.min_steps": min_steps,
        "training.logger.progress_bar": False,
    }
    config = load_config(CONFIGS / "ner.cfg", overrides=changes, interpolate=False)
    tuning = Tuning(config, space_of_the_guide(), trials, group, prunes=prune)
    with tempfile.TemporaryDirectory() as folder:
        found: list[Result] = []
        together = seconds(lambda: found.extend(tune(tuning, Path(folder) / "tuned", Heard())))
        alone = seconds(lambda: [train_alone(config, own, Path(folder) / own.name) for own in found])
    text = report(found, together, alone, trials, group)
    print(text)
    corpus = f"{sentences or 'all'} sentences"
    record(f"{trials} trials of {group}, {found[0].curve[-1][0]} steps, {corpus}", text, results)


def space_of_the_guide() -> Space:
    """Return the space that the guide shows."""
    block = re.findall(r"```json\n(.*?)```", GUIDE.read_text(encoding="utf8"), flags=re.DOTALL)[0]
    return {setting: build_distribution(setting, given) for setting, given in parse_object(block).items()}


def train_alone(config: Config, result: Result, output: Path) -> None:
    """Train what one trial trained, by itself."""
    changes = {} if result.is_shipped else result.settings
    own = Config().from_str(config.to_str(), interpolate=False, overrides=changes)
    train(init_nlp(own), output, stdout=StringIO(), stderr=StringIO())


def seconds(call: Callable[[], Any]) -> tuple[float, float]:
    """Return how long a call takes: on the clock, and of this process's CPU time."""
    begun = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - begun[0], time.process_time() - begun[1]


def report(
    found: Sequence[Result], together: tuple[float, float], alone: tuple[float, float], trials: int, group: int
) -> str:
    """Return the scores, and the ratio of the times."""
    best, shipped = best_of(found), found[0]
    assert best is not None and shipped.is_shipped
    n_pruned = sum(own.state != FINISHED for own in found)
    rows = [[own.name, f"{100 * own.score:.2f}", own.state, str(own.curve[-1][0])] for own in found if own.curve]
    clock, cpu = together[0] / alone[0], together[1] / alone[1]
    return "\n".join(
        [
            table(["trial", "best F1 on dev", "", "last step"], rows),
            "",
            f"{trials} trials of {group} in one pass / one by one: {clock:.2f} on the clock "
            f"({together[0]:.0f} s / {alone[0]:.0f} s), {cpu:.2f} of CPU time; {n_pruned} ended early",
            f"shipped config {100 * shipped.score:.2f}, best {100 * best.score:.2f} ({best.name})",
        ]
    )


if __name__ == "__main__":
    typer.run(main)
