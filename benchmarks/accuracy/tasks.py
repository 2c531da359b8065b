"""`spacy ptv2 compare` on every task: how far deep prompts, with LoRA and alone, are from full fine-tuning.

python -m benchmarks.accuracy.tasks DATA OUTPUT [--cells conll04,srl] [--seeds 0] [--methods prompt+lora,full]

DATA has a folder for each corpus as it is released: conll04 (SpERT's JSON), bc5cdr (TSV), ud_ewt (CoNLL-U),
propbank_ewt (CoNLL-2005), squad (JSON, 1.1), banking77 (CSV), superglue (BoolQ, RTE and WiC, JSON lines). Each cell is
converted into OUTPUT/corpora and compared in OUTPUT/CELL, on cuts and for steps that fit in an hour of one core; what
is finished is not repeated. Where a corpus has no dev set, or no labels on its test set, a tenth of the training data
chooses the best pipeline, and what is left is scored once. Unanswerable questions are made, and are not SQuAD 2.0's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import spacy
import typer
from spacy.tokens import DocBin
from wasabi import msg

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "project" / "scripts"
PARTS = ("train", "dev", "test")
PTV2 = ("-m", "spacy", "ptv2")


@dataclass(frozen=True)
class Cell:
    """A task and a corpus.

    config (str): A shipped config. files (tuple[str, ...]): Train, dev and test below DATA, or train and test.
    steps (int): Of each training. cuts (dict[str, int]): How many of the first Docs of "train" and "dev" are taken,
        and how many of "test", evenly spaced.
    convert (tuple[str, ...]): Options of `spacy ptv2 convert`. made (bool): With unanswerable questions of our making.
    """

    config: str
    files: tuple[str, ...]
    steps: int
    cuts: dict[str, int] = field(default_factory=dict)
    convert: tuple[str, ...] = ()
    made: bool = False


def _superglue(name: str, config: str, steps: int, **cuts: int) -> Cell:
    files = (f"superglue/{name}/train.jsonl", f"superglue/{name}/val.jsonl")
    return Cell(config, files, steps, cuts, ("--task", name))


SQUAD = ("squad/train-v1.1.json", "squad/dev-v1.1.json")
SQUAD_CUTS = {"train": 1500, "dev": 60, "test": 300}  # paragraphs, of about five questions each
CELLS = {
    "conll04": Cell("ner", tuple(f"conll04/conll04_{part}.json" for part in PARTS), 3000),
    "bc5cdr": Cell("ner", tuple(f"bc5cdr/{part}.tsv" for part in ("train", "devel", "test")), 1500, {"dev": 1000}),
    "ewt": Cell(
        "tagging_parsing", tuple(f"ud_ewt/en_ewt-ud-{part}.conllu" for part in PARTS), 1500, {"train": 200, "dev": 100}
    ),
    "srl": Cell(
        "srl",
        tuple(f"propbank_ewt/{part}.conll05.txt" for part in PARTS),
        800,
        {"train": 2000, "dev": 500},
        ("--task", "srl", "--lenient"),
    ),
    "banking77": Cell(
        "textcat",
        ("banking77/train.csv", "banking77/test.csv"),
        1500,
        {},
        ("--task", "textcat", "--column", "label=category"),
    ),
    "boolq": _superglue("BoolQ", "pairs", 400, train=4000, dev=400, test=1600),
    "rte": _superglue("RTE", "pairs", 600),
    "wic": _superglue("WiC", "wic", 800),
    "squad": Cell("squad", SQUAD, 600, SQUAD_CUTS, ("--task", "squad", "--lenient")),
    "squad2": Cell("squad", SQUAD, 600, SQUAD_CUTS, ("--task", "squad", "--lenient"), made=True),
}


def main(
    data: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    output: Path,
    cells: Annotated[str, typer.Option(help="With commas.")] = ",".join(CELLS),
    methods: Annotated[
        str, typer.Option(help="Of `compare`, with commas.")
    ] = "prompt+lora,full,prompt,probe,input-prompt",
    seeds: str = "0",
) -> None:
    """Compare the methods on each cell, one after the other."""
    for name in cells.split(","):
        cell, folder = CELLS[name], output / "corpora" / name
        paths = [folder / f"{part}.spacy" for part in PARTS]
        if not all(path.exists() for path in paths):
            convert(cell, data, folder)
        train, dev, test = paths
        if count := cell.cuts.get("test"):
            test = _evenly_spaced(test, count)
        msg.divider(f"{name}, {cell.steps} steps, {cell.cuts or 'all Docs'}")
        limits = [
            part
            for corpus in ("train", "dev")
            if corpus in cell.cuts
            for part in (f"--corpora.{corpus}.limit", str(cell.cuts[corpus]))
        ]
        plan = {"epochs": 1, "evaluations_per_epoch": 8, "min_steps": cell.steps}
        steps = [part for key, value in plan.items() for part in (f"--initialize.before_init.{key}", str(value))]
        options = ["--test", test, "--methods", methods, "--seeds", seeds]
        corpora = ["--paths.train", train, "--paths.dev", dev]
        run(
            [
                *PTV2,
                "compare",
                ROOT / "configs" / f"{cell.config}.cfg",
                output / name,
                *options,
                *corpora,
                *limits,
                *steps,
            ]
        )


def convert(cell: Cell, data: Path, folder: Path) -> None:
    """Write train.spacy, dev.spacy and test.spacy."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = [data / file for file in cell.files]
    if cell.made:
        sources = [_with_unanswerable(source, folder, seed) for seed, source in enumerate(sources)]
    if sources[0].suffix == ".conllu":  # ten sentences to a Doc, so that sentences are learned too
        for source, part in zip(sources, PARTS, strict=True):
            run(["-m", "spacy", "convert", source, folder, "--converter", "conllu", "--n-sents", "10"])
            (folder / source.with_suffix(".spacy").name).rename(folder / f"{part}.spacy")
        return
    if len(sources) == len(PARTS):
        for source, part in zip(sources, PARTS, strict=True):
            run([*PTV2, "convert", source, folder / f"{part}.spacy", *cell.convert])
        return
    train, test = sources
    run([*PTV2, "convert", train, folder, "--split", "90,10", *cell.convert])
    run([*PTV2, "convert", test, folder / "test.spacy", *cell.convert])


def _with_unanswerable(source: Path, folder: Path, seed: int) -> Path:
    made = folder / f"made-{source.name}"
    run([SCRIPTS / "make_unanswerable.py", source, made, "--seed", seed])
    return made


def _evenly_spaced(path: Path, count: int) -> Path:
    """Write `count` of a file's Docs beside it."""
    docs = list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))
    cut = path.with_name(f"{path.stem}-{count}.spacy")
    step = max(1, len(docs) // count)
    DocBin(docs=docs[::step][:count], store_user_data=True).to_disk(cut)
    return cut


def run(arguments: Sequence[object]) -> None:
    """Run a command of Python on one thread, and stop if it fails."""
    subprocess.run([sys.executable, *map(str, arguments)], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


if __name__ == "__main__":
    typer.run(main)
