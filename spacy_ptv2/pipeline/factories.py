"""The factories: what ``factory = "..."`` builds in a config, with defaults that train well.

spaCy imports this module whenever any pipeline is made, whatever its components. So the code of a component, with torch
and transformers, is imported only when one is built.
"""

from collections.abc import Callable
from typing import Any, Literal

from spacy.language import Language
from spacy.pipeline import Pipe
from spacy.tokens import Doc, Span
from thinc.api import Model
from thinc.types import Floats2d

from ..types import Tok2VecModel
from .confidences import DEFAULTS, Confidence
from .default_models import (
    CLASS_WEIGHTS,
    DEFAULT_PAIR_CLASSIFIER,
    DEFAULT_QUESTION_ANSWERER,
    DEFAULT_ROLE_LABELER,
    DEFAULT_TEXT_CLASSIFIER,
    DEFAULT_TOKEN_CLASSIFIER,
    DEFAULT_TRANSFORMER,
)
from .tag_schemes import Scheme


@Language.factory("ptuning_transformer", assigns=["doc.tensor"], default_config={"model": DEFAULT_TRANSFORMER["model"]})
def make_ptuning_transformer(nlp: Language, name: str, model: Tok2VecModel) -> Pipe:
    """Build the component that runs a backbone with its adapter for its listeners."""
    from .ptuning_transformer import PTuningTransformer

    return PTuningTransformer(nlp.vocab, model, name)


@Language.factory("shared_backbone")
def make_shared_backbone(nlp: Language, name: str) -> Pipe:
    """Build the component that runs the adapters of all later components in one pass."""
    from .shared_backbone import SharedBackbone

    return SharedBackbone(nlp, name)


@Language.factory(
    "token_classifier",
    assigns=["doc.ents", "token.ent_iob", "token.ent_type", "doc.spans"],
    default_config={
        "model": DEFAULT_TOKEN_CLASSIFIER["model"],
        "scheme": "iob2",
        "spans_key": "ents",
        "overwrite": False,
        **DEFAULTS,
        "scorer": {"@scorers": "spacy_ptv2.entity_scorer.v1"},
    },
    default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None},
)
def make_token_classifier(
    nlp: Language,
    name: str,
    model: Model[list[Doc], list[Floats2d]],
    scheme: Scheme,
    spans_key: str,
    overwrite: bool,
    confidence: Confidence,
    threshold: float,
    temperature: float,
    outside_bias: float,
    scorer: Callable[..., dict[str, Any]] | None,
) -> Pipe:
    """Build the component that labels entities with a linear head."""
    from .token_classifier import TokenClassifier

    return TokenClassifier(
        nlp.vocab,
        model,
        name,
        scheme=scheme,
        spans_key=spans_key,
        overwrite=overwrite,
        confidence=confidence,
        threshold=threshold,
        temperature=temperature,
        outside_bias=outside_bias,
        scorer=scorer,
    )


@Language.factory(
    "span_labeler",
    assigns=["doc.spans"],
    default_config={
        "model": DEFAULT_TOKEN_CLASSIFIER["model"],
        "scheme": "iob2",
        "spans_key": "sc",
        **DEFAULTS,
        "scorer": {"@scorers": "spacy.spancat_scorer.v1"},
    },
    default_score_weights={"spans_sc_f": 1.0, "spans_sc_p": 0.0, "spans_sc_r": 0.0},
)
def make_span_labeler(
    nlp: Language,
    name: str,
    model: Model[list[Doc], list[Floats2d]],
    scheme: Scheme,
    spans_key: str,
    confidence: Confidence,
    threshold: float,
    temperature: float,
    outside_bias: float,
    scorer: Callable[..., dict[str, Any]] | None,
) -> Pipe:
    """Build the component that labels the spans of a span group with a linear head."""
    from .span_labeler import SpanLabeler

    rated = dict(zip(DEFAULTS, (confidence, threshold, temperature, outside_bias), strict=True))
    return SpanLabeler(nlp.vocab, model, name, spans_key=spans_key, scheme=scheme, scorer=scorer, **rated)


@Language.factory(
    "predicate_finder",
    assigns=["doc.spans"],
    default_config={
        "model": DEFAULT_TOKEN_CLASSIFIER["model"],
        "spans_key": "predicates",
        **DEFAULTS,
        "scorer": {"@scorers": "spacy_ptv2.predicate_scorer.v1"},
    },
    default_score_weights={"spans_predicates_f": 1.0, "spans_predicates_p": 0.0, "spans_predicates_r": 0.0},
)
def make_predicate_finder(
    nlp: Language,
    name: str,
    model: Model[list[Doc], list[Floats2d]],
    spans_key: str,
    confidence: Confidence,
    threshold: float,
    temperature: float,
    outside_bias: float,
    scorer: Callable[..., dict[str, Any]] | None,
) -> Pipe:
    """Build the component that finds the predicates that `role_labeler` reads."""
    from .predicate_finder import PredicateFinder

    rated = dict(zip(DEFAULTS, (confidence, threshold, temperature, outside_bias), strict=True))
    return PredicateFinder(nlp.vocab, model, name, spans_key=spans_key, scorer=scorer, **rated)


@Language.factory(
    "role_labeler",
    assigns=["doc._.frames", "doc.spans"],
    default_config={
        "model": DEFAULT_ROLE_LABELER["model"],
        "find_predicates": None,
        "roles_key": "roles",
        "scorer": {"@scorers": "spacy_ptv2.role_scorer.v1"},
    },
    default_score_weights={"srl_f": 1.0, "srl_p": 0.0, "srl_r": 0.0, "srl_per_type": None},
)
def make_role_labeler(
    nlp: Language,
    name: str,
    model: Model[list[Doc], list[Floats2d]],
    find_predicates: Callable[[Doc], list[Span]] | None,
    roles_key: str,
    scorer: Callable[..., dict[str, Any]] | None,
) -> Pipe:
    """Build the component that labels the semantic roles of predicates."""
    from .role_labeler import RoleLabeler

    return RoleLabeler(nlp.vocab, model, name, find_predicates=find_predicates, roles_key=roles_key, scorer=scorer)


@Language.factory(
    "question_answerer",
    assigns=["doc._.answers", "doc._.no_answer"],
    default_config={
        "model": DEFAULT_QUESTION_ANSWERER["model"],
        "no_answer": "auto",
        "n_best": 1,
        "longest": 30,
        "threshold": 0.5,
        "scorer": {"@scorers": "spacy_ptv2.answer_scorer.v1"},
    },
    default_score_weights={"qa_f1": 1.0, "qa_exact": 0.0},
)
def make_question_answerer(
    nlp: Language,
    name: str,
    model: Model[list[Doc], list[Floats2d]],
    no_answer: Literal["auto"] | bool,
    n_best: int,
    longest: int,
    threshold: float,
    scorer: Callable[..., dict[str, Any]] | None,
) -> Pipe:
    """Build the component that answers questions with spans of the Doc."""
    from .question_answerer import QuestionAnswerer

    return QuestionAnswerer(
        nlp.vocab,
        model,
        name,
        no_answer=no_answer,
        n_best=n_best,
        longest=longest,
        threshold=threshold,
        scorer=scorer,
    )


@Language.factory(
    "text_classifier",
    assigns=["doc.cats"],
    default_config={
        "model": DEFAULT_TEXT_CLASSIFIER["model"],
        "scorer": {"@scorers": "spacy_ptv2.class_scorer.v1"},
    },
    default_score_weights=CLASS_WEIGHTS,
)
def make_text_classifier(
    nlp: Language,
    name: str,
    model: Model[list[Doc], list[Floats2d]],
    scorer: Callable[..., dict[str, Any]] | None,
) -> Pipe:
    """Build the component that chooses a class for each Doc."""
    from .text_classifier import TextClassifier

    return TextClassifier(nlp.vocab, model, name, scorer=scorer)


@Language.factory(
    "pair_classifier",
    assigns=["doc.cats", "doc._.choice", "doc._.choice_scores"],
    default_config={
        "model": DEFAULT_PAIR_CLASSIFIER["model"],
        "choices": False,
        "scorer": {"@scorers": "spacy_ptv2.class_scorer.v1"},
    },
    default_score_weights=CLASS_WEIGHTS,
)
def make_pair_classifier(
    nlp: Language,
    name: str,
    model: Model[list[Doc], list[Floats2d]],
    choices: bool,
    scorer: Callable[..., dict[str, Any]] | None,
) -> Pipe:
    """Build the component that classifies a Doc with a second text, or chooses among several second texts."""
    from .choice_classifier import ChoiceClassifier
    from .text_classifier import PairClassifier

    return (ChoiceClassifier if choices else PairClassifier)(nlp.vocab, model, name, scorer=scorer)
