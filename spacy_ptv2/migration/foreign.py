"""Recognises the blocks of spacy-transformers and spacy-curated-transformers that can be migrated."""

from __future__ import annotations

import re
from typing import Any, Literal

from .blocks import function_of

Kind = Literal["transformer", "inline", "listener"]

FACTORIES = ("transformer", "curated_transformer")
CURATED = "spacy-curated-transformers."
PACKAGES = ("spacy-transformers.", CURATED)
KINDS: dict[Kind, re.Pattern[str]] = {
    # The drop-in is a step on the way: it has spacy-transformers' settings and ours.
    "transformer": re.compile(
        r"spacy-transformers\.TransformerModel\.v[123]|spacy_ptv2\.TransformerModel\.v1"
        r"|spacy-curated-transformers\.(Albert|Bert|Camembert|Roberta|Xlmr)Transformer\.v1"
    ),
    "inline": re.compile(r"spacy-transformers\.Tok2VecTransformer\.v[123]"),
    "listener": re.compile(
        r"spacy-transformers\.TransformerListener\.v1"
        r"|spacy-curated-transformers\.(LastTransformerLayer|ScalarWeighting)Listener\.v1"
    ),
}
CURATED_LOADER = "spacy-curated-transformers.HFTransformerEncoderLoader.v1"
# Span getters that only cut a text into parts that fit, as our windows do.
PLAIN_SPANS = re.compile(
    r"spacy-transformers\.(strided|doc|sent)_spans\.v1|spacy-curated-transformers\.WithStridedSpans\.v1"
)
NO_ANNOTATIONS = "spacy-transformers.null_annotation_setter.v1"
UNFREEZING = "spacy-curated-transformers.gradual_transformer_unfreezing.v1"


def kind_of(block: Any) -> Kind | None:
    """Return what a block is; None for one that is not another package's, or that cannot be migrated."""
    function = function_of(block) or ""
    return next((kind for kind, pattern in KINDS.items() if pattern.fullmatch(function)), None)


def is_foreign(value: Any) -> bool:
    """Return whether a value is the name of a function of another package."""
    return isinstance(value, str) and value.startswith(PACKAGES)
