"""Examples from what Python code has at hand: annotated Docs, texts with annotations, rows of a dataset, or files.

In: a path, or an iterable of Docs, Examples, pairs of text and annotations as `Example.from_dict` takes them, or rows
as in the JSON forms that `spacy ptv2 convert` reads. Out: the examples.
Source of `features`: Hugging Face datasets, https://huggingface.co/docs/datasets/about_dataset_features.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Corpus, Example

from ..annotations.given import give
from ..annotations.names import GIVEN
from ..errors import CorpusError, Errors
from .documents import to_docs
from .json_files import read_json
from .options import FileOptions
from .report import read_docs
from .spans import Tokenize

Row = dict[str, Any]
Annotated = Doc | Example | tuple[str, dict[str, Any]] | Row
Source = str | Path | Iterable[Annotated]
PLACE = Path("rows")  # what messages call rows that come from no file
_MAKER = Corpus("", limit=0)  # makes examples of Docs; it has no path of its own


def read_examples(source: Source, nlp: Language) -> list[Example]:
    """Return examples for a pipeline, which is given what a task is asked, as by `spacy_ptv2.Corpus.v1`.

    source (Source): A `.spacy` file, a folder of them, or any file that `spacy ptv2 convert` reads; or annotated Docs,
        Examples, pairs such as `("Ada lives in London", {"entities": [(13, 19, "GPE")]})`, or rows with entities, such
        as those of a dataset with `tokens` and `ner_tags`, whose `features` have the names of the tags.
    RAISES (CorpusError): P788 for anything else, P430 and others for files and rows.
    """
    found = read_docs(Path(source), nlp) if isinstance(source, str | Path) else list(_named(source))
    if found and all(isinstance(one, dict) for one in found):
        found = _docs_of_rows(found, nlp)
    return [example for one in found for example in _examples(one, nlp)]


def _named(source: Iterable[Annotated]) -> Iterator[Annotated]:
    """Put the names of tags in the place of their numbers, where the source is a dataset that knows them."""
    features = getattr(source, "features", None) or {}
    listed = {key: getattr(getattr(feature, "feature", None), "names", None) for key, feature in features.items()}
    names: dict[str, list[str]] = {key: own for key, own in listed.items() if own}
    for one in source:
        if isinstance(one, dict):
            yield {key: [names[key][n] for n in value] if key in names else value for key, value in one.items()}
        else:
            yield one


def _docs_of_rows(rows: Sequence[Annotated], nlp: Language) -> list[Doc]:
    options = FileOptions(misaligned="expand")
    documents, _ = read_json(json.dumps(rows), PLACE, options, lambda: Tokenize(nlp.lang or "xx", nlp.make_doc))
    return list(to_docs(documents, nlp.vocab))


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
