"""Entities of several words, found whole with other whitespace between their words than a single space.

python -m benchmarks.accuracy.whitespace PIPELINE... [--corpus FILE.spacy]

In every gold entity of several words each space is replaced by a line break, a tab, and so on; the tokenizer of the
pipeline then meets the text as it would meet any. "whole": gold entities found with their exact characters and their
label. "of plain": beside those that the same pipeline finds whole with single spaces. "split": gold entities in which
more than one entity begins. Default corpus: the sentences of Wikigold.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import spacy
import typer
from spacy.language import Language
from spacy.tokens import Doc

from ..lib.pipelines import corpus_name, read_corpus
from ..lib.results import record, table

PLAIN = "single space"
SPACES = {
    PLAIN: " ",
    "line break": "\n",
    "tab": "\t",
    "double space": "  ",
    "no-break space": "\u00a0",
    "CRLF": "\r\n",
}
HEADER = ("pipeline", "between words", "whole", "of plain", "split")

Entity = tuple[int, int, str]  # first character, last character + 1, label


def main(pipelines: list[str], corpus: Path | None = None, results: Path | None = None) -> None:
    """Print and record one row per pipeline and kind of whitespace."""
    rows = []
    for pipeline in pipelines:
        nlp = spacy.load(pipeline)
        docs = [doc for doc in read_corpus(corpus, nlp.vocab) if any(len(ent) > 1 for ent in doc.ents)]
        whole_in_plain = 0
        for name, space in SPACES.items():
            whole, split, total = count_found(nlp, docs, space)
            whole_in_plain = whole if name == PLAIN else whole_in_plain
            share = f"{whole / whole_in_plain:.3f}" if whole_in_plain else "-"
            rows.append([Path(pipeline).parent.name, name, f"{whole} of {total}", share, str(split)])
    text = table(HEADER, rows)
    print(text)
    record(f"Whitespace inside entities, {corpus_name(corpus)}", text, results)


def count_found(nlp: Language, docs: Sequence[Doc], space: str) -> tuple[int, int, int]:
    """Return how many gold entities of several words are found whole, how many are split, and how many there are."""
    texts, golds = zip(*(with_space(doc, space) for doc in docs), strict=True)
    whole = split = 0
    for doc, gold in zip(nlp.pipe(texts), golds, strict=True):
        found = {(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents}
        whole += len(found.intersection(gold))
        split += sum(sum(start <= first < end for first, _, _ in found) > 1 for start, end, _ in gold)
    return whole, split, sum(map(len, golds))


def with_space(doc: Doc, space: str) -> tuple[str, list[Entity]]:
    """Return a Doc's text with other whitespace inside its entities, and where those of several words are in it."""
    parts, entities, length = [], [], 0
    inside = {token.i for ent in doc.ents for token in ent[:-1]}
    starts = []
    for token in doc:
        starts.append(length)
        after = space if token.i in inside and token.whitespace_ else token.whitespace_
        parts.append(token.text + after)
        length += len(parts[-1])
    for ent in doc.ents:
        if len(ent) > 1:
            end = starts[ent.end - 1] + len(ent[-1].text)
            entities.append((starts[ent.start], end, ent.label_))
    return "".join(parts), entities


if __name__ == "__main__":
    typer.run(main)
