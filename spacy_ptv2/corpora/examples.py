"""Examples from what Python code has at hand: annotated Docs, texts with annotations, or files.

In: a path, or an iterable of Docs, Examples, or pairs of text and annotations as `Example.from_dict` takes them. Out: a
reader such as a config's `[corpora]` builds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Corpus, Example

from ..annotations.given import give
from ..annotations.names import GIVEN
from ..errors import CorpusError, Errors
from .report import read_docs

Annotated = Doc | Example | tuple[str, dict[str, Any]]
Source = str | Path | Iterable[Annotated]
_MAKER = Corpus("", limit=0)  # makes examples of Docs; it has no path of its own


def reader_of(source: Source) -> Callable[[Language], list[Example]]:
    """Return a reader of examples. The pipeline is given what a task is asked, as by `spacy_ptv2.Corpus.v1`.

    source (Source): A `.spacy` file, a folder of them, or any file that `spacy ptv2 convert` reads; or annotated Docs,
        Examples, or pairs such as `("Ada lives in London", {"entities": [(13, 19, "GPE")]})`.
    RAISES (CorpusError): On reading: P788 for anything else, P430 and others for files.
    """
    annotated = source if isinstance(source, str | Path) else list(source)

    def read(nlp: Language) -> list[Example]:
        found = read_docs(Path(annotated), nlp) if isinstance(annotated, str | Path) else annotated
        return [example for one in found for example in _examples(one, nlp)]

    return read


def _examples(one: Annotated, nlp: Language) -> Iterator[Example]:
    match one:
        case Example():
            yield one
        case Doc():
            for example in _MAKER.make_examples(nlp, [one]):
                give(example.reference, example.predicted, list(GIVEN))
                yield example
        case (str(text), dict(annotations)):
            yield Example.from_dict(nlp.make_doc(text), annotations)
        case _:
            raise CorpusError(Errors.P788.format(got=repr(one)[:80]))
