"""Corpora cut for comparisons that fit in an hour of one core, and the call of `spacy ptv2 compare` on them.

Each cell is converted once. Where a corpus has no dev set, or no labels on its test set, a tenth of the training data
chooses the best pipeline, and what is left is scored once.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import spacy
from spacy.tokens import DocBin
from wasabi import msg

from ..lib.pipelines import CONFIGS

SCRIPTS = CONFIGS.parent / "project" / "scripts"
PARTS = ("train", "dev", "test")
DOCUMENTS = "test-documents"
PTV2 = ("-m", "spacy", "ptv2")


@dataclass(frozen=True)
class Cell:
    """A task and a corpus.

    config (str): A shipped config by its name, or the path of a config.
    files (tuple[str, ...]): Train, dev and test below the folder of the data, or train and test. Several that belong
        together are joined by "+".
    steps (int): Of each training.
    cuts (dict[str, int]): How many of the first Docs of "train" and "dev" are taken, and how many of "test", evenly
        spaced.
    convert (tuple[str, ...]): Options of `spacy ptv2 convert`.
    made (bool): With unanswerable questions of our making.
    documents (bool): The corpus says where documents begin, so the test set is read as whole documents, too.
    backbone (str | None): Its hub id, None for that of the config.
    """

    config: str
    files: tuple[str, ...]
    steps: int
    cuts: Mapping[str, int] = field(default_factory=dict)
    convert: tuple[str, ...] = ()
    made: bool = False
    documents: bool = False
    backbone: str | None = None


def compare_cell(
    name: str,
    cell: Cell,
    data: Path,
    output: Path,
    *,
    methods: str,
    seeds: str,
    jobs: int = 1,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Convert what is not there yet, and compare the methods.

    data (Path): Has a folder for each corpus as it is released. settings (Mapping | None): Changes to the config.
    RETURNS (Path): The folder of the comparison.
    """
    tests = ["test", *([DOCUMENTS] if cell.documents else [])]
    folder = output / "corpora" / name
    if not all((folder / f"{part}.spacy").exists() for part in {*PARTS, *tests}):
        convert(cell, data, folder)
    paths = [folder / f"{part}.spacy" for part in tests]
    if count := cell.cuts.get("test"):
        paths = [_evenly_spaced(path, count) for path in paths]
    msg.divider(f"{name}, {cell.steps} steps, {dict(cell.cuts) or 'all Docs'}")
    changes: dict[str, Any] = {
        "paths.train": folder / "train.spacy",
        "paths.dev": folder / "dev.spacy",
        **{f"corpora.{part}.limit": cell.cuts[part] for part in ("train", "dev") if part in cell.cuts},
        "initialize.before_init.epochs": 1,
        "initialize.before_init.evaluations_per_epoch": 8,
        "initialize.before_init.min_steps": cell.steps,
        **(settings or {}),
    }
    options = [text for key, value in changes.items() for text in (f"--{key}", value)]
    options += [text for path in paths for text in ("--test", path)]
    config = Path(cell.config) if cell.config.endswith(".cfg") else CONFIGS / f"{cell.config}.cfg"
    run([*PTV2, "compare", config, output / name, "--methods", methods, "--seeds", seeds, "--jobs", jobs, *options])
    return output / name


def convert(cell: Cell, data: Path, folder: Path) -> None:
    """Write train.spacy, dev.spacy and test.spacy, and test-documents.spacy."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = [_joined([data / name for name in file.split("+")], folder) for file in cell.files]
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
    else:
        run([*PTV2, "convert", sources[0], folder, "--split", "90,10", *cell.convert])
        run([*PTV2, "convert", sources[-1], folder / "test.spacy", *cell.convert])
    if cell.documents:
        options = ("--granularity", "document", *cell.convert)
        run([*PTV2, "convert", sources[-1], folder / f"{DOCUMENTS}.spacy", *options])


def _joined(sources: Sequence[Path], folder: Path) -> Path:
    """Return the one file, or a file with the text of several."""
    if len(sources) == 1:
        return sources[0]
    path = folder / f"joined-{sources[0].name}"
    path.write_text("\n".join(source.read_text(encoding="utf8") for source in sources), encoding="utf8")
    return path


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
