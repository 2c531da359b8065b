"""Named types for what flows between layers and components."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from spacy.tokens import Doc, Span
from thinc.api import Model
from thinc.types import Floats2d

Tok2VecModel = Model[list[Doc], list[Floats2d]]  # one row per token. Shape of each: (n_tokens, nO)
TransformerLayer = Model[list[Doc], Any]  # returns a FullTransformerBatch, not named here: its import is heavy
SpanGetter = Callable[[Sequence[Doc]], list[list[Span]]]  # as in spacy-transformers: the spans to cut within
