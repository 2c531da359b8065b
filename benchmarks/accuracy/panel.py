"""Adapters against fine-tuning over many corpora, and one score: the mean difference, with its standard error.

python -m benchmarks.accuracy.panel DATA OUTPUT [--form cheap] [--cells conll03,btc] [--seeds 0] [--jobs 1]
    [--methods prompt+lora,full-plain,full] [--config configs/ner.cfg] [--multilingual FOLDER] [--results FILE]

DATA is as for `tasks.py`, with conll2003 (CoNLL columns), btc (its sections f for dev, h for test, a, b, e and g for
training) and turku_one (TSV) in addition; Wikigold is in the repository. All methods train on the same cut, for as many
steps, with the same batches, head and averages: deep prompts + LoRA as `configs/ner.cfg` and
`configs/tagging_parsing.cfg` have them, and every weight under a head alone ("full-plain"), or with our scalar mix and
word shape too ("full"), at the best of three rates on dev. Where a corpus says where documents begin, each pipeline
reads its test set twice: by sentences, and as whole documents, words joined by single spaces. What is finished is not
repeated, and other methods that are finished there are in the table, too: to try a changed config, train its adapters
alone (`--methods prompt+lora --config CHANGED`). The time is that until the best dev score of "full-plain" was passed,
as a share of what "full-plain" took to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from statistics import mean
from typing import Annotated

import typer
from wasabi import msg

from spacy_ptv2.comparison.finished import Finished, Run, read_comparison
from spacy_ptv2.comparison.methods import METHODS, PLAIN
from spacy_ptv2.comparison.table import differences, mean_and_error

from ..lib.pipelines import CONFIGS
from ..lib.results import record, table
from ..lib.training import ENCODER
from . import tasks
from .accuracy import seconds_until
from .cells import DOCUMENTS, PARTS, Cell, compare_cell
from .corpora import save_fold

CONLL = Cell("ner", tuple(f"conll2003/{part}.txt" for part in PARTS), 0, documents=True)
BTC = Cell("ner", ("+".join(f"btc/{section}.conll" for section in "abeg"), "btc/f.conll", "btc/h.conll"), 0)
BC5CDR, CONLL04, EWT = (replace(tasks.CELLS[name], cuts={}) for name in ("bc5cdr", "conll04", "ewt"))
FOLDS, WIKIGOLD = 5, "wikigold-"
MULTILINGUAL = "intfloat/multilingual-e5-small"
CELLS = {
    "conll03": CONLL,
    **{f"{WIKIGOLD}{fold}": Cell("ner", PARTS, 0, documents=True) for fold in range(FOLDS)},
    "conll04": CONLL04,
    "bc5cdr": BC5CDR,
    "btc": BTC,
    "turku_one": Cell("ner", tuple(f"turku_one/{part}.tsv" for part in PARTS), 0, backbone=MULTILINGUAL),
    "ewt": EWT,
    **{
        f"{name}-{n_sentences}": replace(cell, cuts={"train": n_sentences})
        for name, cell in {"conll03": CONLL, "btc": BTC, "bc5cdr": BC5CDR}.items()
        for n_sentences in (100, 500)
    },
}
SENTENCES_OF_DOC = 10  # of EWT
ADAPTER = "prompt+lora"


@dataclass(frozen=True)
class Form:
    """How much of each corpus is used, in sentences; 0 for all. steps (int): Of each training."""

    steps: int
    train: int
    dev: int
    test: int

    def cut(self, cell: Cell) -> Cell:
        """Return a cell with these cuts, its own if it has some."""
        unit = SENTENCES_OF_DOC if cell.config == "tagging_parsing" else 1
        cuts = {part: getattr(self, part) // unit for part in PARTS if getattr(self, part)}
        return replace(cell, steps=self.steps, cuts={**cuts, **cell.cuts})


FORMS = {"cheap": Form(500, 2000, 500, 1000), "full": Form(3000, 8000, 1000, 0)}
CHEAP = "conll03,wikigold-0,conll04,bc5cdr,btc,ewt"


def main(
    data: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    output: Path,
    form: Annotated[str, typer.Option(help=" or ".join(FORMS))] = "cheap",
    cells: Annotated[str | None, typer.Option(help=f"With commas. Default: all, or {CHEAP} of the cheap form.")] = None,
    methods: Annotated[str, typer.Option(help="Of `compare`, with commas.")] = f"{ADAPTER},{PLAIN}",
    seeds: str = "0",
    multilingual: Annotated[Path | None, typer.Option(help=f"The folder of {MULTILINGUAL}.")] = None,
    config: Annotated[Path, typer.Option(help="Of the cells for entities.")] = CONFIGS / "ner.cfg",
    jobs: int = 1,
    results: Path | None = None,
) -> None:
    """Compare on each corpus, one after the other, and print a row for each and the mean difference."""
    if form not in FORMS:
        raise typer.BadParameter(f"expected --form {' or '.join(FORMS)}, got {form}")
    chosen = cells or (CHEAP if form == "cheap" else ",".join(CELLS))
    rows: list[tuple[str, ...]] = []
    points: list[float] = []
    for name in chosen.split(","):
        cell = FORMS[form].cut(CELLS[name])
        if cell.config == CONLL.config:
            cell = replace(cell, config=str(config))
        if cell.backbone and not multilingual:
            msg.warn(f"{name} is left out: --multilingual has no folder of {MULTILINGUAL}")
            continue
        if name.startswith(WIKIGOLD) and not (output / "corpora" / name / f"{DOCUMENTS}.spacy").exists():
            save_fold(int(name.removeprefix(WIKIGOLD)), FOLDS, output / "corpora" / name)
        own = {f"{ENCODER}.backbone.path": multilingual} if cell.backbone else {}
        folder = compare_cell(name, cell, data, output, methods=methods, seeds=seeds, jobs=jobs, settings=own)
        finished = read_comparison(folder)
        points += differences_of(finished)
        rows += rows_of(name, cell, finished)
    text = f"{table(HEADER, rows)}\n\n{summary(points)}"
    print(text)
    record(f"Panel, {form} form, {config.name}", text, results)


HEADER = ("corpus", "sentences", "steps", "what trains", "dev", "test", "difference", "time")


def rows_of(name: str, cell: Cell, finished: Finished) -> Iterator[tuple[str, ...]]:
    """Yield a row per method and way to read the test set, the scores of all seeds in percent."""
    for method, runs in finished.table.items():
        apart = [] if method == PLAIN else _differences(runs, finished)
        rate = runs[0][0].rate
        label = METHODS[method].label + ("" if rate is None else f", rate {rate:g}")
        devs = " ".join(f"{100 * outcome.dev:.1f}" for _, outcome in runs)
        shares = " ".join(f"{share:.2f}" for share in _time_shares(runs, finished.table.get(PLAIN, ())))
        for number, form in enumerate(("sentences", "documents")[: 1 + cell.documents]):
            scores = [100 * outcome.tests[number] for _, outcome in runs]
            yield (
                f"{name}, {form}" if cell.documents else name,
                str(cell.cuts.get("train", "all")),
                str(cell.steps),
                label,
                devs,
                " ".join(f"{score:.1f}" for score in scores),
                f"{mean(apart[number]):+.1f}" if apart else "",
                "" if method == PLAIN else shares,
            )


def _time_shares(runs: Sequence[Run], peers: Sequence[Run]) -> Iterator[float]:
    """Yield each run's time to the best dev score of fine-tuning with the same seed, as a share of the latter's."""
    of_peer = {job.seed: outcome for job, outcome in peers}
    for job, outcome in runs:
        if peer := of_peer.get(job.seed):
            goal = _seconds_until(peer.curve, peer.dev)
            yield _seconds_until(outcome.curve, peer.dev) / goal if goal else inf


def _seconds_until(curve: Sequence[tuple[int, float, float]], score: float) -> float:
    points: list[Mapping[str, float]] = [{"seconds": seconds, "score": reached} for _, seconds, reached in curve]
    return seconds_until(points, score)


def differences_of(finished: Finished) -> Iterator[float]:
    """Yield the points between adapter and fine-tuning for each way to read the test set, the mean over seeds."""
    yield from map(mean, _differences(finished.table.get(ADAPTER, ()), finished))


def _differences(runs: Sequence[Run], finished: Finished) -> list[tuple[float, ...]]:
    """Return the points between runs and fine-tuning with the same seeds, for each way to read the test set."""
    peer = {job.seed: outcome for job, outcome in finished.table.get(PLAIN, ())}
    return differences([(outcome, peer[job.seed]) for job, outcome in runs if job.seed in peer])


def summary(points: Sequence[float]) -> str:
    """Return the sentence under the table. points: The differences, one for each corpus and way to read it."""
    if not points:
        return "No corpus has both deep prompts + LoRA and fine-tuning with our head."
    error = " (standard error over these)" if len(points) > 1 else ""
    return (
        f"Deep prompts + LoRA less fine-tuning with our head, on test, mean of {len(points)}: "
        f"{mean_and_error(points)}{error}; lowest {min(points):+.1f}."
    )


if __name__ == "__main__":
    typer.run(main)
