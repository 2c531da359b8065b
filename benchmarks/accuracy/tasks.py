"""`spacy ptv2 compare` on every task: how far deep prompts, with LoRA and alone, are from full fine-tuning.

python -m benchmarks.accuracy.tasks DATA OUTPUT [--cells conll04,srl] [--seeds 0] [--methods prompt+lora,full]

DATA has a folder for each corpus as it is released: conll04 (SpERT's JSON), bc5cdr (TSV), ud_ewt (CoNLL-U),
propbank_ewt (CoNLL-2005), squad (JSON, 1.1), banking77 (CSV), superglue (BoolQ, RTE and WiC, JSON lines). Each cell is
converted into OUTPUT/corpora and compared in OUTPUT/CELL, on cuts and for steps that fit in an hour of one core; what
is finished is not repeated. Unanswerable questions are made, and are not SQuAD 2.0's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .cells import PARTS, Cell, compare_cell


def _superglue(name: str, config: str, steps: int, **cuts: int) -> Cell:
    files = (f"superglue/{name}/train.jsonl", f"superglue/{name}/val.jsonl")
    return Cell(config, files, steps, cuts, ("--task", name))


SQUAD = ("squad/train-v1.1.json", "squad/dev-v1.1.json")
SQUAD_CUTS = {"train": 1000, "dev": 60, "test": 300}  # paragraphs, of about five questions each
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
    "squad": Cell("squad", SQUAD, 500, SQUAD_CUTS, ("--task", "squad", "--lenient")),
    "squad2": Cell("squad", SQUAD, 500, SQUAD_CUTS, ("--task", "squad", "--lenient"), made=True),
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
        compare_cell(name, CELLS[name], data, output, methods=methods, seeds=seeds)


if __name__ == "__main__":
    typer.run(main)
