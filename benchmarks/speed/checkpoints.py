"""What checkpoints and pipelines that are saved take of the time of a training by `spacy ptv2 train`.

python -m benchmarks.speed.checkpoints [--backbone NAME_OR_FOLDER] [--corpus FILE.spacy] [--sentences 0]
    [--steps 300] [--evaluate-every 100] [--minutes 10] [--repeats 3]

`configs/ner.cfg` (deep prompts + LoRA) over Wikigold, scored on eight sentences, so that evaluation takes next to
nothing. A shipped training saves at each evaluation, once an epoch, and every ten minutes. All is flushed to the disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import typer
from spacy.training.initialize import init_nlp

from spacy_ptv2.training import run
from spacy_ptv2.training.checkpoint import CHECKPOINT
from spacy_ptv2.training.trainer import Trainer

from ..lib.clock import Stopwatch
from ..lib.pipelines import MINILM, corpus_name, seconds, spread
from ..lib.results import record, table
from ..lib.training import prompt_config, save_sentences

SAVING = ((run, "save_checkpoint", "checkpoint"), (Trainer, "save", "model-best, model-last"))


def main(
    backbone: str = MINILM,
    corpus: Path | None = None,
    sentences: int = 0,
    steps: int = 300,
    evaluate_every: int = 100,
    minutes: float = 10,
    repeats: int = 3,
    results: Path | None = None,
) -> None:
    """Print and record how much of the time saving takes, in percent."""
    shares: dict[str, list[float]] = {name: [] for _, _, name in SAVING}
    times: dict[str, list[float]] = {name: [] for _, _, name in SAVING}
    with tempfile.TemporaryDirectory() as name:
        config = prompt_config(save_sentences(corpus, sentences, Path(name)), backbone)
        config["initialize"]["before_init"] = None
        config["training"].update(max_steps=steps, eval_frequency=evaluate_every)
        for number in range(repeats):
            nlp, output = init_nlp(config), Path(name) / f"training{number}"
            with watching() as (watches, counts):
                checkpointing = run.Checkpointing(config, minutes)
                whole = seconds(lambda: run.train(nlp, output, stdout=StringIO(), checkpointing=checkpointing))  # noqa: B023
            for what, watch in watches.items():
                shares[what].append(100 * watch.seconds / whole)
                times[what].append(1000 * watch.seconds / counts[what])
        size = (output / CHECKPOINT).stat().st_size / 1e6
    rows = [(what, spread(times[what]), spread(own)) for what, own in shares.items()]
    header = (f"a save each {evaluate_every} steps", "ms each", "% of the training")
    text = table(header, rows) + f"\n\nthe checkpoint: {size:.1f} MB; {steps} steps in {whole:.0f} s"
    print(text)
    record(f"{corpus_name(corpus)}, {Path(backbone).name}, evaluated every {evaluate_every} steps", text, results)


@contextmanager
def watching() -> Iterator[tuple[dict[str, Stopwatch], dict[str, int]]]:
    """Let stopwatches run while something is saved, and count how often, inside this context."""
    watches = {name: Stopwatch() for _, _, name in SAVING}
    counts = dict.fromkeys(watches, 0)

    def timed(call: Callable[..., Any], what: str) -> Callable[..., Any]:
        def saves(*args: Any, **kwargs: Any) -> Any:
            counts[what] += 1
            watches[what].start()
            try:
                return call(*args, **kwargs)
            finally:
                watches[what].stop()

        return saves

    with ExitStack() as stack:
        for owner, name, what in SAVING:
            stack.enter_context(patch.object(owner, name, timed(getattr(owner, name), what)))
        yield watches, counts


if __name__ == "__main__":
    typer.run(main)
