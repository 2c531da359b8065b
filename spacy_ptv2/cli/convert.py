"""``spacy ptv2 convert``: converts files with entities, in many formats, to spaCy's binary ``.spacy`` format."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from wasabi import msg

from ..corpora.documents import CorpusCounts, Granularity, count_corpus, to_docs
from ..corpora.files import Corpus, read_corpus
from ..corpora.options import FileOptions, build_file_options
from ..corpora.spans import blank_tokenize
from ..corpora.splitting import parse_shares
from ..corpora.splitting import split as split_documents
from ..corpora.tasks import TASKS, task_reader
from ..corpora.text import write_whole
from ..errors import CorpusError, Errors
from .messages import fail

SHOWN = 20  # how many files' layouts are printed
SPANS_KEY = "A group of doc.spans that gets the entities too, as 'sc' for spancat. They may overlap then."
TASK = f"What the file is for: {', '.join(('ner', *TASKS))}, or another name of SuperGLUE."
SPLIT = "Write train.spacy, dev.spacy and test.spacy by whole documents: their shares, as in 80,10,10."
COLUMN = (
    "What a column is called, or its number from 1, or from -1 for the last: word=, tag=; of texts with labels text=, "
    "second_text=, label=. Detected by default."
)


def convert_cli(
    input_path: Annotated[Path, typer.Argument(help="A file with entities, or a folder of such files.")],
    output_path: Annotated[Path, typer.Argument(help="The .spacy file to write; with --split, a folder.")],
    granularity: Annotated[str, typer.Option(help="One Doc per 'sentence' or per 'document'.")] = "sentence",
    scheme: Annotated[str | None, typer.Option(help="Scheme of the tags, such as IOB2. Detected by default.")] = None,
    lang: Annotated[str, typer.Option(help="Language whose blank pipeline tokenises raw texts.")] = "en",
    misaligned: Annotated[
        str, typer.Option(help="What to do if entities of raw texts are not whole tokens: 'error', 'expand' or 'skip'.")
    ] = "error",
    spans_key: Annotated[str | None, typer.Option(help=SPANS_KEY)] = None,
    task: Annotated[str, typer.Option("--task", "-t", help=TASK)] = "ner",
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Leave out entries that are wrong and count them. All tasks but ner.")
    ] = False,
    column: Annotated[list[str] | None, typer.Option(help=COLUMN)] = None,
    split: Annotated[str | None, typer.Option("--split", help=SPLIT)] = None,
) -> None:
    """Convert files with annotations to .spacy: CoNLL columns, CSV, OntoNotes, JSON of annotation tools and more.

    The kind of a file, its columns and the scheme of its tags are detected and printed. All kinds:
    docs/reference/formats.md.
    """
    with _showing_errors(input_path):
        shares = None if split is None else parse_shares(split)
        columns = dict(entry.partition("=")[::2] for entry in column or ())
        if task == "ner":
            options = build_file_options(scheme, columns, misaligned, spans_key is not None)
            written = convert(input_path, output_path, granularity, options, lang, spans_key, shares)  # type: ignore[arg-type]
            _report(written)
        else:
            counts = convert_task(input_path, output_path, task, lang, columns=columns, lenient=lenient, shares=shares)
            for path, n_docs in counts.items():
                msg.good(f"{path}: {n_docs} Docs")


@contextmanager
def _showing_errors(path: Path) -> Iterator[None]:
    """Print what is wrong with a corpus and end the command; print warnings as messages."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, category, *where: (
            msg.warn(str(message)) if issubclass(category, UserWarning) else None
        )
        try:
            yield
        except CorpusError as error:
            fail(f"Cannot convert {path}", str(error))


def _report(written: dict[Path, Corpus]) -> None:
    layouts = next(iter(written.values())).layouts
    for path, layout in list(layouts.items())[:SHOWN]:
        msg.info(f"{path}: {layout}")
    if len(layouts) > SHOWN:
        msg.info(f"... and {len(layouts) - SHOWN} more files")
    for path, corpus in written.items():
        msg.good(f"{path}: {_describe(corpus, count_corpus(corpus.documents))}")


def _describe(corpus: Corpus, counts: CorpusCounts) -> str:
    unit = "sentences" if all(document.has_sentences for document in corpus.documents) else "texts"
    return f"{counts.sentences} {unit}, {counts.tokens} tokens, {counts.entities} entities"


def convert(
    input_path: Path,
    output_path: Path,
    granularity: Granularity = "sentence",
    options: FileOptions | None = None,
    lang: str = "en",
    spans_key: str | None = None,
    shares: dict[str, float] | None = None,
) -> dict[Path, Corpus]:
    """Convert a file, or a folder of files, to DocBins on disk. If that fails, nothing is left on disk.

    spans_key (str | None): See `to_docs`.
    shares (dict[str, float] | None): See `parse_shares`; the output is then a folder for the parts.
    RETURNS (dict[Path, Corpus]): What was written.
    RAISES (CorpusError): If a file is malformed, empty, missing or of a kind that cannot be read, or if the output is
        not a .spacy file.
    """
    from spacy.tokens import DocBin
    from spacy.vocab import Vocab

    _check_output(output_path, shares)
    corpus = read_corpus(input_path, options or FileOptions(), lambda: blank_tokenize(lang))
    written = {output_path: corpus}
    if shares is not None:
        parts = split_documents(corpus.documents, shares, lambda document: tuple(s.words for s in document.sentences))
        written = {output_path / f"{part}.spacy": replace(corpus, documents=own) for part, own in parts.items()}
    for path, part in written.items():
        docs = DocBin(docs=to_docs(part.documents, Vocab(), granularity, spans_key), store_user_data=False)
        write_whole(docs.to_bytes(), path)
    return written


def convert_task(
    input_path: Path,
    output_path: Path,
    task: str,
    lang: str = "en",
    *,
    columns: Mapping[str, str] | None = None,
    lenient: bool = False,
    shares: dict[str, float] | None = None,
) -> dict[Path, int]:
    """Convert a file of another task than entities to DocBins on disk. If that fails, nothing is left on disk.

    task (str): See `corpora.tasks`.
    columns (Mapping[str, str] | None): Names of columns, for texts with labels.
    lenient (bool): Leave out entries that are wrong, and warn of them.
    shares (dict[str, float] | None): As of `convert`.
    RETURNS (dict[Path, int]): How many Docs were written.
    RAISES (CorpusError): As `convert`.
    """
    from spacy.tokens import DocBin

    _check_output(output_path, shares)
    settings = {"columns": columns} if columns else {}
    docs = list(task_reader(task)(input_path, blank_tokenize(lang), lenient=lenient, **settings))
    parts = {output_path: docs}
    if shares is not None:
        split = split_documents(docs, shares, lambda doc: doc.text)
        parts = {output_path / f"{part}.spacy": own for part, own in split.items()}
    for path, own in parts.items():
        write_whole(DocBin(docs=own, store_user_data=True).to_bytes(), path)
    return {path: len(own) for path, own in parts.items()}


def _check_output(path: Path, shares: object) -> None:
    if shares is not None:
        if path.suffix == ".spacy" or path.is_file():
            raise CorpusError(Errors.P056.format(path=path))
        return
    if path.is_dir():
        raise CorpusError(Errors.P019.format(path=path))
    if path.suffix != ".spacy":
        raise CorpusError(Errors.P018.format(path=path))
