"""``spacy ptv2 convert``: converts files with entities, in many formats, to spaCy's binary ``.spacy`` format."""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from wasabi import msg

from ..corpora.documents import CorpusCounts, Granularity, count_corpus, to_docs
from ..corpora.files import Corpus, read_corpus
from ..corpora.options import FileOptions, build_file_options
from ..corpora.spans import blank_tokenize
from ..errors import CorpusError, Errors

SHOWN = 20  # how many files' layouts are printed
COLUMN = "Its number from 1, or from -1 for the last, or its name in the header. Detected by default."


def convert_cli(
    input_path: Annotated[Path, typer.Argument(help="A file with entities, or a folder of such files.")],
    output_path: Annotated[Path, typer.Argument(help="The .spacy file to write.")],
    granularity: Annotated[str, typer.Option(help="One Doc per 'sentence' or per 'document'.")] = "sentence",
    scheme: Annotated[str | None, typer.Option(help="Scheme of the tags, such as IOB2. Detected by default.")] = None,
    word_column: Annotated[str | None, typer.Option(help=f"Column of the words. {COLUMN}")] = None,
    tag_column: Annotated[str | None, typer.Option(help=f"Column of the entity tags. {COLUMN}")] = None,
    lang: Annotated[str, typer.Option(help="Language whose blank pipeline tokenises raw texts.")] = "en",
    misaligned: Annotated[
        str, typer.Option(help="What to do if entities of raw texts are not whole tokens: 'error', 'expand' or 'skip'.")
    ] = "error",
) -> None:
    """Convert files with entities to .spacy: CoNLL columns, CSV, OntoNotes, JSON of annotation tools and more.

    The kind of a file, its columns and the scheme of its tags are detected and printed. All kinds:
    docs/reference/formats.md.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            options = build_file_options(scheme, word_column, tag_column, misaligned)
            corpus = convert(input_path, output_path, granularity, options, lang)  # type: ignore[arg-type]
    except CorpusError as error:
        msg.fail(f"Cannot convert {input_path}", str(error), exits=1)
    for warning in caught:
        if issubclass(warning.category, UserWarning):
            msg.warn(str(warning.message))
    for path, layout in list(corpus.layouts.items())[:SHOWN]:
        msg.info(f"{path}: {layout}")
    if len(corpus.layouts) > SHOWN:
        msg.info(f"... and {len(corpus.layouts) - SHOWN} more files")
    msg.good(f"{output_path}: {_describe(corpus, count_corpus(corpus.documents))}")


def _describe(corpus: Corpus, counts: CorpusCounts) -> str:
    unit = "sentences" if all(document.has_sentences for document in corpus.documents) else "texts"
    return f"{counts.sentences} {unit}, {counts.tokens} tokens, {counts.entities} entities"


def convert(
    input_path: Path,
    output_path: Path,
    granularity: Granularity = "sentence",
    options: FileOptions | None = None,
    lang: str = "en",
) -> Corpus:
    """Convert a file, or a folder of files, to a DocBin on disk. If that fails, nothing is left on disk.

    RETURNS (Corpus): What was read.
    RAISES (CorpusError): If a file is malformed, empty, missing or of a kind that cannot be read, or if the output is
        not a .spacy file.
    """
    from spacy.tokens import DocBin
    from spacy.vocab import Vocab

    if output_path.is_dir():
        raise CorpusError(Errors.P019.format(path=output_path))
    if output_path.suffix != ".spacy":
        raise CorpusError(Errors.P018.format(path=output_path))
    corpus = read_corpus(input_path, options or FileOptions(), lambda: blank_tokenize(lang))
    docs = DocBin(docs=to_docs(corpus.documents, Vocab(), granularity), store_user_data=False)
    _write(docs.to_bytes(), output_path)
    return corpus


def _write(content: bytes, path: Path) -> None:
    """Write a file completely or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise CorpusError(Errors.P024.format(path=path, error=error.strerror)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
