"""What a pipeline offers to the page: kinds of annotations, their labels, and what it is to be asked.

In: a loaded pipeline. Out: an `Offer`. A question, a second text or predicates are typed into fields of the page; what
cannot be typed, such as marked words, is left out with a warning.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from spacy.language import Language

from ..alignment.layouts import PairLayout, PredicateLayout, QuestionLayout
from ..errors import Warnings
from ..pipeline.choice_classifier import ChoiceClassifier
from ..pipeline.predicate_finder import PredicateFinder

# What the components that have labels annotate, by their factories.
KINDS = {
    "token_classifier": "entities",
    "span_labeler": "entities",
    "ner": "entities",
    "spancat": "entities",
    "tagger": "tags",
    "morphologizer": "tags",
    "parser": "tags",
    "predicate_finder": "frames",
    "role_labeler": "frames",
    "text_classifier": "classes",
    "pair_classifier": "classes",
    "textcat": "classes",
    "textcat_multilabel": "classes",
    "question_answerer": "answers",
}


@dataclass(frozen=True)
class Ask:
    """Something that a component is given. what (str): A field of `Given`. where (str): Its place on the Doc."""

    what: str
    where: str


@dataclass(frozen=True)
class Offer:
    """A task as the page shows it.

    name (str), pipeline (str): Its name, and what `spacy.load` takes.
    lang (str): The language of its texts.
    kinds (dict[str, tuple[str, ...]]): What it annotates, such as "entities", and the labels of each.
    asks (tuple[Ask, ...]): What it is to be asked.
    """

    name: str
    pipeline: str
    lang: str
    kinds: dict[str, tuple[str, ...]]
    asks: tuple[Ask, ...]


def describe_offer(name: str, pipeline: str, nlp: Language) -> Offer:
    """Return what a loaded pipeline offers. It warns with PW44 of a component that cannot be asked."""
    kinds: dict[str, tuple[str, ...]] = {}
    for component, pipe in nlp.pipeline:
        kind = "choices" if isinstance(pipe, ChoiceClassifier) else KINDS.get(nlp.get_pipe_meta(component).factory)
        if kind is not None:
            labels = nlp.pipe_labels.get(component, ())
            kinds[kind] = tuple(dict.fromkeys([*kinds.get(kind, ()), *labels]))
    return Offer(name, pipeline, str(nlp.lang), kinds, tuple(dict.fromkeys(_asks(name, nlp))))


def _asks(name: str, nlp: Language) -> Iterator[Ask]:
    found = {pipe.cfg["spans_key"] for _, pipe in nlp.pipeline if isinstance(pipe, PredicateFinder)}
    pipes: list[Any] = [pipe for _, pipe in nlp.pipeline if hasattr(pipe, "layout")]
    for pipe in pipes:
        layout = pipe.layout
        if isinstance(layout, QuestionLayout):
            yield Ask("questions", layout.attribute)
        elif isinstance(layout, PredicateLayout):
            if pipe.find_predicates is None and layout.spans_key not in found:
                yield Ask("predicates", layout.spans_key)
        elif isinstance(layout, PairLayout):
            if pipe.model.get_ref("tok2vec").attrs["windows"].rows == "spans":
                warnings.warn(Warnings.PW44.format(name=name, component=pipe.name), stacklevel=2)
            else:
                yield Ask("choices" if isinstance(pipe, ChoiceClassifier) else "second_text", layout.attribute)
