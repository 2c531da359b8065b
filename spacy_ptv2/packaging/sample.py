"""Sample texts and predictions, shipped in a package so that a copy can be checked anywhere.

In: a pipeline and texts. Out: JSON with the tokens, entities, tags, heads, span groups, classes, answers and choices of
each text, and the precision in which the backbones computed, because another machine may choose another one. Scores are
left out, because their last digits differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from ..alignment.layouts import PairLayout, PredicateLayout, QuestionLayout
from ..annotations.answers import answers_of
from ..annotations.names import CHOICE, attribute_of
from ..errors import Errors, FormatError, PTuningError
from ..pipeline.choice_classifier import ChoiceClassifier
from ..pipeline.predicate_finder import PredicateFinder
from ..reading import read_object
from .summary import trained_adapters

SAMPLE_FILE = "sample.json"
FORMAT_VERSION = 1
QUESTIONS = ("Who is it about?", "Where?", "When?")
ANNOTATIONS = {"TAG": "tag_", "POS": "pos_", "MORPH": "morph", "LEMMA": "lemma_", "DEP": "dep_"}


@dataclass(frozen=True)
class Sample:
    """The sample in a package. precisions (list[str]): Those of the backbones that made the predictions."""

    texts: list[str]
    predictions: list[dict[str, Any]]
    precisions: list[str]


def make_sample(nlp: Language, texts: Sequence[str]) -> dict[str, Any]:
    """Return texts and a pipeline's predictions for them, as JSON values."""
    predictions = [describe(doc) for doc in nlp.pipe(_ask(nlp, texts))]
    return {
        "format_version": FORMAT_VERSION,
        "texts": list(texts),
        "predictions": predictions,
        "precisions": find_precisions(nlp),
    }


def _ask(nlp: Language, texts: Sequence[str]) -> list[Doc]:
    """Return Docs of texts with something to ask of tasks that are given questions, predicates or second texts.

    The second text of each is the next one; every fourth word is taken for a predicate, unless the pipeline finds them.
    What comes out need not make sense, but must come out again.
    """
    found = {pipe.cfg["spans_key"] for _, pipe in nlp.pipeline if isinstance(pipe, PredicateFinder)}
    docs = [nlp.make_doc(text) for text in texts]
    pipes: list[Any] = [pipe for _, pipe in nlp.pipeline if hasattr(pipe, "layout")]
    encoders = [pipe.model.get_ref("tok2vec") for pipe in pipes]
    for number, doc in enumerate(docs):
        second = texts[(number + 1) % len(texts)]
        for pipe, encoding in zip(pipes, (encoder.attrs["windows"] for encoder in encoders), strict=True):
            layout = encoding.layout
            if isinstance(layout, QuestionLayout):
                doc._.set(layout.attribute, list(QUESTIONS))
            elif isinstance(layout, PredicateLayout) and layout.spans_key not in found:
                doc.spans[layout.spans_key] = [doc[i : i + 1] for i in range(1, len(doc), 4)]
            elif isinstance(layout, PairLayout) and encoding.rows == "sequence":  # marked spans cannot be made up
                choices = isinstance(pipe, ChoiceClassifier)
                doc._.set(layout.attribute, [second, texts[number - 1]] if choices else second)
    return docs


def find_precisions(nlp: Language) -> list[str]:
    """Return the precisions of a pipeline's backbones on this machine, such as "bfloat16" or "int8 in OpenVINO"."""
    return sorted({shim.encoder.precision for shim in trained_adapters(nlp)})


def describe(doc: Doc) -> dict[str, Any]:
    """Return the annotations of a Doc as JSON values."""
    found: dict[str, Any] = {
        "tokens": [token.text for token in doc],
        "ents": [[ent.start, ent.end, ent.label_] for ent in doc.ents],
        "spans": {key: [[s.start, s.end, s.label_] for s in group] for key, group in sorted(doc.spans.items())},
    }
    for annotation, attribute in ANNOTATIONS.items():
        if doc.has_annotation(annotation):
            found[attribute.strip("_")] = [str(getattr(token, attribute)) for token in doc]
    if doc.has_annotation("DEP"):
        found["heads"] = [token.head.i for token in doc]
    if doc.cats:
        found["cats"] = max(doc.cats, key=doc.cats.__getitem__)
    if answers := answers_of(doc):
        found["answers"] = [[own[0]["start"], own[0]["end"]] for own in answers if own]
    if (choice := attribute_of(doc, CHOICE)) is not None:
        found["choice"] = choice
    return found


def sample_texts(lang: str, file: Path | None) -> list[str]:
    """Return the texts in a file, one per line, or spaCy's example sentences for a language.

    RAISES (PTuningError): P605, P606 if there are none.
    """
    if file is not None:
        try:
            lines = file.read_text(encoding="utf8").splitlines()
        except (OSError, ValueError) as error:
            raise PTuningError(Errors.P606.format(path=file, problem=error)) from error
        texts = [line.strip() for line in lines if line.strip()]
        if not texts:
            raise PTuningError(Errors.P606.format(path=file, problem="it contains no text"))
        return texts
    try:
        return list(import_module(f"spacy.lang.{lang}.examples").sentences)
    except ImportError as error:
        raise PTuningError(Errors.P605.format(lang=lang)) from error


def read_sample(path: Path) -> Sample:
    """Return the sample in a file.

    RAISES (FormatError): P607 if the file is not one of ours.
    """
    try:
        content = read_object(path)
        sample = Sample(*(content[field] for field in ("texts", "predictions", "precisions")))
        version, n_texts = content["format_version"], len(sample.texts)
        whole = version == FORMAT_VERSION and n_texts == len(sample.predictions) > 0
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(Errors.P607.format(path=path, problem=repr(error))) from error
    lists = (sample.texts, sample.predictions, sample.precisions)
    if (
        not whole
        or not all(isinstance(entry, list) for entry in lists)
        or not _are_texts(*sample.texts, *sample.precisions)
    ):
        raise FormatError(Errors.P607.format(path=path, problem="another version, or not one prediction per text"))
    return sample


def _are_texts(*values: object) -> bool:
    return all(isinstance(value, str) for value in values)


def differing_texts(nlp: Language, sample: Sample) -> list[str]:
    """Return the texts of a sample for which a pipeline now predicts something else."""
    now = make_sample(nlp, sample.texts)["predictions"]
    return [text for text, old, new in zip(sample.texts, sample.predictions, now, strict=True) if old != new]
