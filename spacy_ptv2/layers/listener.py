"""The layer that takes its vectors from a `ptuning_transformer` earlier in the pipeline."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from spacy.pipeline.tok2vec import Tok2VecListener
from spacy.pipeline.tok2vec import forward as listen
from spacy.tokens import Doc
from thinc.api import get_array_module
from thinc.types import Floats2d

from ..bridge.precomputed import Precomputed
from ..errors import Errors, PTuningError
from ..serialization.upstream import ATTRIBUTE, UpstreamRecord


class PTuningListener(Tok2VecListener):
    """spaCy's listener under a name of its own. Shape of each output: (n_tokens, nO), with nO taken from upstream.

    `spacy debug model` uses this name to find the component to run first: if it contains "transformer-listener", that
    is the one called "transformer", as in the shipped configs (spaCy 3.8, cli/debug_model.py).

    upstream (str): The name of the `ptuning_transformer` component, "*" for any.
    width (int | None): nO; None until it is taken from upstream.
    """

    name = "ptuning-transformer-listener"

    def __init__(self, upstream: str, width: int | None = None) -> None:
        super().__init__(upstream_name=upstream, width=cast(int, width))
        self._func = forward
        self.vectors: Precomputed[Floats2d] = Precomputed()
        self.attrs[ATTRIBUTE] = UpstreamRecord()

    def receive(self, batch_id: int, outputs: Any, backprop: Callable[[Any], Any]) -> None:
        """Receive vectors and the callback for their gradients; it is given zeros if any of them is not finite.

        So one head cannot spoil the gradients of the others, nor the loss column, which sums their squares.
        """
        super().receive(batch_id, outputs, partial(_hand_in, backprop))


# `spacy pretrain` recognises a listener by this name and trains the upstream layer instead (spaCy 3.8, pretrain.py).
PTuningListener.__name__ = Tok2VecListener.__name__


def forward(model: PTuningListener, X: list[Doc], is_train: bool) -> tuple[list[Floats2d], Callable[[Any], Any]]:
    """Return the vectors that the upstream component left here; without any, do what spaCy's listener does.

    RAISES (PTuningError): P797 if no upstream component has given the listener a width.
    """
    vectors = None if is_train else model.vectors.take(X)
    if vectors is not None:
        return vectors, lambda dY: X
    if not model.has_dim("nO"):
        raise PTuningError(Errors.P797.format(upstream=model.upstream_name))
    return listen(model, X, is_train)  # type: ignore[no-any-return]


def _hand_in(backprop: Callable[[Any], Any], d_vectors: list[Floats2d]) -> Any:
    xp = get_array_module(d_vectors[0]) if d_vectors else None
    if xp is not None and not bool(xp.isfinite(xp.concatenate(d_vectors)).all()):
        d_vectors = [xp.zeros_like(d) for d in d_vectors]
    return backprop(d_vectors)
