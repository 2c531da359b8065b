"""Corpus readers for ``[corpora.train]`` in a config: files of many formats without a conversion step."""

from collections.abc import Callable, Iterable
from pathlib import Path

from spacy.language import Language
from spacy.training import Example

from .documents import Granularity, to_docs
from .files import read_corpus
from .options import build_file_options
from .spans import Tokenize

Reader = Callable[[Language], Iterable[Example]]


def build_conll_corpus_v1(
    path: str | Path,
    granularity: Granularity = "sentence",
    limit: int = 0,
    scheme: str | None = None,
    word_column: int | str | None = None,
    tag_column: int | str | None = None,
    misaligned: str = "error",
    spans_key: str | None = None,
) -> Reader:
    """Read examples directly from CoNLL columns, or from any other file that `spacy ptv2 convert` reads.

    path (str | Path): The file, or a folder of files.
    granularity ("sentence" | "document"): One Doc per sentence, or one per document of the file.
    limit (int): The largest number of examples, 0 for all.
    scheme (str | None): The scheme of the tags, such as "IOB2" or "BILUO"; null to detect it.
    word_column (int | str | None): A number from 1, or from -1 at the end, or a name in the header; null to detect it.
    tag_column (int | str | None): The same for the tags.
    misaligned ("error" | "expand" | "skip"): What to do with entities of raw texts that are not whole tokens.
    spans_key (str | None): A group of `doc.spans` that gets the entities too. They may overlap then.
    RETURNS (Callable[[Language], Iterable[Example]]): The reader. The pipeline's tokenizer tokenises raw texts.
    RAISES (CorpusError): On use, with file and line, if the file is malformed, empty or missing.
    """
    columns = {"word": word_column, "tag": tag_column}
    options = build_file_options(scheme, columns, misaligned, overlaps=spans_key is not None)

    def read(nlp: Language) -> Iterable[Example]:
        corpus = read_corpus(path, options, lambda: Tokenize(nlp.lang or "xx", nlp.make_doc))
        for i, reference in enumerate(to_docs(corpus.documents, nlp.vocab, granularity, spans_key)):
            if limit and i >= limit:
                break
            words = [token.text for token in reference]
            spaces = [bool(token.whitespace_) for token in reference]
            yield Example(type(reference)(nlp.vocab, words=words, spaces=spaces), reference)

    return read
