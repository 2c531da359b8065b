"""The factories: what ``factory = "..."`` builds in a config, with defaults that train well.

spaCy imports this module whenever any pipeline is made, whatever its components. So the code of a component, with torch
and transformers, is imported only when one is built.
"""

from collections.abc import Callable
from typing import Any

from spacy.language import Language
from spacy.pipeline import Pipe
from spacy.tokens import Doc
from thinc.api import Config, Model
from thinc.types import Floats2d

from ..types import Tok2VecModel
from .confidences import DEFAULTS, Confidence
from .tag_schemes import Scheme

DEFAULT_TRANSFORMER = Config().from_str("""
[model]
@architectures = "spacy_ptv2.Tok2VecPTuning.v1"

[model.backbone]
@misc = "spacy_ptv2.Backbone.v1"
name = "sentence-transformers/all-MiniLM-L6-v2"

[model.adapter]
@misc = "spacy_ptv2.Adapter.v1"

[model.adapter.prompt]
@misc = "spacy_ptv2.Prompt.v1"

[model.windows]
@misc = "spacy_ptv2.Windows.v1"

[model.runtime]
@misc = "spacy_ptv2.Runtime.v1"
""")

DEFAULT_TOKEN_CLASSIFIER = Config().from_str("""
[model]
@architectures = "spacy_ptv2.TokenClassifier.v1"

[model.tok2vec]
@architectures = "spacy_ptv2.PTuningListener.v1"
""")


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
        scorer=scorer,
    )
