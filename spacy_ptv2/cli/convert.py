"""``spacy ptv2 convert``: converts files with entities, in many formats, to spaCy's binary ``.spacy`` format."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from wasabi import msg

from ..corpora.documents import CorpusCounts, Granularity, count_corpus, to_docs
from ..corpora.files import Corpus, read_corpus
from ..corpora.options import FileOptions, build_file_options
from ..corpora.spans import blank_tokenize
from ..corpora.tasks import TASKS, task_reader
from ..corpora.text import write_whole
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
    task: Annotated[
        str, typer.Option("--task", "-t", help=f"What the file is for: {', '.join(('ner', *TASKS))}.")
    ] = "ner",
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Leave out entries that are wrong and count them. All tasks but ner.")
    ] = False,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="A column of texts with labels that is called otherwise: text=NAME, second_text=NAME, label=NAME."
        ),
    ] = None,
) -> None:
    """Convert files with annotations to .spacy: CoNLL columns, CSV, OntoNotes, JSON of annotation tools and more.

    The kind of a file, its columns and the scheme of its tags are detected and printed. All kinds:
    docs/reference/formats.md.
    """
    with _showing_errors(input_path):
        if task == "ner":
            options = build_file_options(scheme, word_column, tag_column, misaligned)
            corpus = convert(input_path, output_path, granularity, options, lang)  # type: ignore[arg-type]
            _report(corpus, output_path)
        else:
            columns = dict(entry.partition("=")[::2] for entry in column or ())
            n_docs = convert_task(input_path, output_path, task, lang, columns=columns, lenient=lenient)
            msg.good(f"{output_path}: {n_docs} Docs")


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
            msg.fail(f"Cannot convert {path}", str(error), exits=1)


def _report(corpus: Corpus, output_path: Path) -> None:
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

    _check_output(output_path)
    corpus = read_corpus(input_path, options or FileOptions(), lambda: blank_tokenize(lang))
    docs = DocBin(docs=to_docs(corpus.documents, Vocab(), granularity), store_user_data=False)
    write_whole(docs.to_bytes(), output_path)
    return corpus


def convert_task(
    input_path: Path,
    output_path: Path,
    task: str,
    lang: str = "en",
    *,
    columns: Mapping[str, str] | None = None,
    lenient: bool = False,
) -> int:
    """Convert a file of another task than entities to a DocBin on disk. If that fails, nothing is left on disk.

    task (str): See `corpora.tasks`.
    columns (Mapping[str, str] | None): Names of columns, for texts with labels.
    lenient (bool): Leave out entries that are wrong, and warn of them.
    RETURNS (int): How many Docs there are.
    RAISES (CorpusError): As `convert`.
    """
    from spacy.tokens import DocBin

    _check_output(output_path)
    options = {"columns": columns} if columns else {}
    docs = DocBin(store_user_data=True)
    for doc in task_reader(task)(input_path, blank_tokenize(lang), lenient=lenient, **options):
        docs.add(doc)
    write_whole(docs.to_bytes(), output_path)
    return len(docs)


def _check_output(path: Path) -> None:
    if path.is_dir():
        raise CorpusError(Errors.P019.format(path=path))
    if path.suffix != ".spacy":
        raise CorpusError(Errors.P018.format(path=path))
