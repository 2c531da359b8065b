"""Corpus readers that a config can name under ``[corpora.train]``: CoNLL files without a conversion step."""

from collections.abc import Callable, Iterable
from pathlib import Path

from spacy.language import Language
from spacy.training import Example

from .conll import Granularity, read_conll, to_docs

Reader = Callable[[Language], Iterable[Example]]


def build_conll_corpus_v1(path: str | Path, granularity: Granularity = "sentence", limit: int = 0) -> Reader:
    """Read training or evaluation examples straight from a CoNLL column file.

    path (str | Path): The file (2 or 4 columns, IOB1 or IOB2).
    granularity ("sentence" | "document"): One Doc per sentence, or one per -DOCSTART- document.
    limit (int): The largest number of examples, 0 for all.
    RETURNS (Callable[[Language], Iterable[Example]]): The reader.
    RAISES (CorpusError): On use, with file and line, if the file is malformed, empty or absent.
    """

    def read(nlp: Language) -> Iterable[Example]:
        for i, reference in enumerate(to_docs(read_conll(path), nlp.vocab, granularity)):
            if limit and i >= limit:
                break
            words = [token.text for token in reference]
            spaces = [bool(token.whitespace_) for token in reference]
            yield Example(type(reference)(nlp.vocab, words=words, spaces=spaces), reference)

    return read
