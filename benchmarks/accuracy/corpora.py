"""Corpora for `accuracy.py`: Wikigold in folds, and CoNLL04.

python -m benchmarks.accuracy.corpora wikigold OUTPUT [--folds 5]
python -m benchmarks.accuracy.corpora conll04 FOLDER OUTPUT

`wikigold` writes fold-0/ and so on, each with train, dev and test.spacy: each document is in the test set of one fold,
and the dev set of a fold is half of the next fold's test set. `conll04` converts the three JSON files of SpERT (Eberts
and Ulges 2020, https://arxiv.org/abs/1909.07755). Both keep one Doc per sentence; test-documents.spacy of a fold has
one per document.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import typer
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab
from wasabi import msg

from spacy_ptv2.cli.convert import convert
from spacy_ptv2.corpora.conll import count_corpus, read_conll, to_docs

from ..lib.pipelines import WIKIGOLD

app = typer.Typer()


@app.command()
def wikigold(output: Path, folds: int = 5) -> None:
    """Write the folds of Wikigold."""
    for fold in range(folds):
        save_fold(fold, folds, output / f"fold-{fold}")


def save_fold(fold: int, folds: int, folder: Path) -> None:
    """Write one fold of Wikigold, and its test set as whole documents, too."""
    documents = read_conll(WIKIGOLD)
    following = range((fold + 1) % folds, len(documents), folds)
    dev = set(following[::2])
    test = set(range(fold, len(documents), folds))
    train = set(range(len(documents))) - dev - test
    vocab = Vocab()
    for name, numbers in {"train": train, "dev": dev, "test": test}.items():
        chosen = [documents[number] for number in sorted(numbers)]
        save(to_docs(chosen, vocab), folder / f"{name}.spacy")
    save(to_docs([documents[number] for number in sorted(test)], vocab, "document"), folder / "test-documents.spacy")


@app.command()
def conll04(source: Path, output: Path) -> None:
    """Write the three parts of CoNLL04."""
    for name in ("train", "dev", "test"):
        (corpus,) = convert(source / f"conll04_{name}.json", output / f"{name}.spacy").values()
        msg.good(f"{output / name}.spacy: {count_corpus(corpus.documents).sentences} sentences")


def save(docs: Iterable[Doc], path: Path) -> None:
    """Write Docs to a `.spacy` file, and say how many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    corpus = DocBin(docs=docs)
    corpus.to_disk(path)
    msg.good(f"{path}: {len(corpus)} Docs")


if __name__ == "__main__":
    app()
