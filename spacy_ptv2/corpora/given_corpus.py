"""The reader of `.spacy` files whose Docs are asked something: questions, predicates, second texts.

spaCy's own reader gives the pipeline the text of a Doc alone. This one also gives it what the task is asked, so that
evaluation asks it.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from spacy.language import Language
from spacy.training import Example
from spacy.training.corpus import create_docbin_reader

from ..annotations.given import give
from ..annotations.names import GIVEN


def build_corpus_v1(
    path: str | Path | None,
    given: list[str] | None = None,
    limit: int = 0,
    augmenter: Callable[[Language, Example], Iterator[Example]] | None = None,
) -> Callable[[Language], Iterable[Example]]:
    """Read training or evaluation examples from `.spacy` files, as `spacy.Corpus.v1` does, with what is given.

    path (str | Path | None): The file, or a folder of files.
    given (list[str] | None): What the pipeline is given of each gold Doc, in addition to the text: "doc._.NAME",
        "doc.spans.NAME", "doc.sents". None for all questions, second texts, predicates and marked spans.
    limit (int): The largest number of examples, 0 for all.
    augmenter (Callable | None): As of `spacy.Corpus.v1`.
    RETURNS (Callable[[Language], Iterable[Example]]): The reader.
    """
    corpus = create_docbin_reader(path, gold_preproc=False, limit=limit, augmenter=augmenter)
    names = list(GIVEN if given is None else given)

    def read(nlp: Language) -> Iterable[Example]:
        for example in corpus(nlp):
            give(example.reference, example.predicted, names)
            yield example

    return read
