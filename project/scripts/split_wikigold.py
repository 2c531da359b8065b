"""Split Wikigold by document, always the same way: of every ten documents eight train, one is dev, one is test.

python project/scripts/split_wikigold.py INPUT OUTPUT_FOLDER
"""

from pathlib import Path

import typer
from wasabi import msg

PARTS = {8: "dev", 9: "test"}  # by the number of the document modulo 10; the others train


def main(source: Path, output: Path) -> None:
    """Write train.txt, dev.txt and test.txt; their lines are those of the input."""
    documents = read_documents(source.read_text(encoding="utf8"))
    parts: dict[str, list[str]] = {"train": [], "dev": [], "test": []}
    for number, document in enumerate(documents):
        parts[PARTS.get(number % 10, "train")].append(document)
    output.mkdir(parents=True, exist_ok=True)
    for name, texts in parts.items():
        (output / f"{name}.txt").write_text("".join(texts), encoding="utf8")
        msg.info(f"{name}: {len(texts)} documents")


def read_documents(text: str) -> list[str]:
    """Return the documents of a CoNLL file, each with its -DOCSTART- line; Wikigold has that line behind a document."""
    documents: list[str] = [""]
    for line in text.splitlines(keepends=True):
        if line.startswith("-DOCSTART-"):
            documents.append("")
        documents[-1] += line
    return [document for document in documents if document.strip() and not is_only_boundary(document)]


def is_only_boundary(document: str) -> bool:
    """Return whether nothing but the -DOCSTART- line is in a document."""
    return all(line.startswith("-DOCSTART-") or not line.strip() for line in document.splitlines())


if __name__ == "__main__":
    typer.run(main)
