"""Split a .spacy file: a share of its Docs is held back, always the same ones.

python project/scripts/split_docs.py INPUT.spacy TRAIN.spacy DEV.spacy [--share 0.1] [--seed 0]
"""

import random
from pathlib import Path

import spacy
import typer
from spacy.tokens import DocBin
from wasabi import msg


def main(source: Path, train: Path, dev: Path, share: float = 0.1, seed: int = 0) -> None:
    """Write both files; all annotations stay with their Docs."""
    docs = list(DocBin().from_disk(source).get_docs(spacy.blank("xx").vocab))
    held_back = set(random.Random(seed).sample(range(len(docs)), max(1, round(share * len(docs)))))
    for path, is_dev in ((train, False), (dev, True)):
        part = [doc for number, doc in enumerate(docs) if (number in held_back) is is_dev]
        path.parent.mkdir(parents=True, exist_ok=True)
        DocBin(docs=part, store_user_data=True).to_disk(path)
        msg.info(f"{path}: {len(part)} Docs")


if __name__ == "__main__":
    typer.run(main)
