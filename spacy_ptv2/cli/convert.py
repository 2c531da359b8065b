"""``spacy ptv2 convert``: CoNLL column files to spaCy's binary ``.spacy`` format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from wasabi import msg

from ..corpora.conll import CorpusCounts, Granularity, count_corpus, read_conll, to_docs
from ..errors import CorpusError


def convert_cli(
    input_path: Annotated[Path, typer.Argument(help="A CoNLL column file: word first, entity tag last.")],
    output_path: Annotated[Path, typer.Argument(help="The .spacy file to write.")],
    granularity: Annotated[str, typer.Option(help="One Doc per 'sentence' or per 'document'.")] = "sentence",
) -> None:
    """Convert a CoNLL file (2 or 4 columns, IOB1 or IOB2, with or without -DOCSTART- lines) to .spacy."""
    try:
        counts = convert(input_path, output_path, granularity)  # type: ignore[arg-type]
    except CorpusError as error:
        msg.fail(f"Cannot convert {input_path}", str(error), exits=1)
    msg.good(f"{output_path}: {counts.sentences} sentences, {counts.tokens} tokens, {counts.entities} entities")


def convert(input_path: Path, output_path: Path, granularity: Granularity = "sentence") -> CorpusCounts:
    """Convert a CoNLL file to a DocBin on disk.

    RETURNS (CorpusCounts): What was read.
    RAISES (CorpusError): If the file is malformed, empty or absent.
    """
    from spacy.tokens import DocBin
    from spacy.vocab import Vocab

    documents = read_conll(input_path)
    docs = DocBin(docs=to_docs(documents, Vocab(), granularity), store_user_data=False)
    output_path.parent.mkdir(parents=True, exist_ok=True)
    docs.to_disk(output_path)
    return count_corpus(documents)
