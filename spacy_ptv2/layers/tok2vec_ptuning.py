"""The document layer: Docs in, one array of vectors per sequence out, a row for each token.

Long documents are read in overlapping windows. The windows of all Docs share batches within a budget of padded pieces,
and only the pieces that tokens are made of leave the backbone. A whitespace token has none; its vector is constant.
Hidden states that were precomputed together with those of other adapters (`joint_reading.py`) are used instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d, Ragged

from ..backbones.model_config import find_width
from ..bridge.adapter_shim import AdapterShim
from ..bridge.arrays import to_ints
from ..bridge.precomputed import PieceHiddenStates
from ..bridge.window_encoding import WindowEncoding
from .encode_pieces import EncodePieces, get_shim

LAYER_NAME = "tok2vec_ptuning"
# The value of every dimension. Hidden states come from a layer norm, so they are about orthogonal to such a vector and
# about as long. Heads tell spaces from words within a few steps; on a vector of zeros they would have only their bias.
SPACE = 1.0
InT = list[Doc]
OutT = list[Floats2d]


def Tok2VecPTuning(shim: AdapterShim, pooling: Model[Ragged, Floats2d], windows: WindowEncoding) -> Model[InT, OutT]:
    """Build the layer.

    pooling (Model[Ragged, Floats2d]): Reduces the pieces of each token, such as `reduce_first.v1` or `reduce_mean.v1`.
    X (list[Doc]): Docs, some of which may be empty.
    Y (list[Floats2d]): Shape of each: (n_tokens, nO). nO is known at once if the backbone is on this machine, otherwise
        after initialisation.
    """
    return Model(
        LAYER_NAME,
        forward,
        init=init,
        layers=[EncodePieces(shim), pooling],
        dims={"nO": find_width(shim.source)},
        attrs={"windows": windows},
    )


def forward(model: Model[InT, OutT], X: InT, is_train: bool) -> tuple[OutT, Callable[[OutT], InT]]:
    """See `Tok2VecPTuning`."""
    pooling, xp = model.layers[1], model.ops.xp
    found = _take_over(model, X, is_train) or _compute(model, X, is_train)
    bounds = np.cumsum(found.per_sequence)[:-1]
    words = np.flatnonzero(found.lengths)
    if not len(words):
        empty = _spaces(model, len(found.lengths))
        return cast(OutT, xp.split(empty, bounds) if len(found.per_sequence) else []), lambda dY: X
    vectors, backprop_pooling = pooling(Ragged(found.states, to_ints(model.ops, found.lengths[words])), is_train)
    rows: Any = slice(None)
    if len(words) < len(found.lengths):
        of_words, rows = vectors, to_ints(model.ops, words)
        vectors = _spaces(model, len(found.lengths))
        vectors[rows] = of_words

    def backprop(dY: OutT) -> InT:
        d_states = backprop_pooling(xp.concatenate(dY)[rows])
        if found.backprop is not None:
            found.backprop(d_states.dataXd)
        return X

    return cast(OutT, xp.split(vectors, bounds)), backprop


def _spaces(model: Model[InT, OutT], n_tokens: int) -> Floats2d:
    """Return the vectors of whitespace tokens. Shape: (n_tokens, nO)"""
    vectors = model.ops.alloc2f(n_tokens, model.get_dim("nO"), zeros=False)
    vectors[:] = SPACE
    return vectors


def _take_over(model: Model[InT, OutT], X: InT, is_train: bool) -> PieceHiddenStates | None:
    """Return what was precomputed for these Docs; None if nothing was, or it was for other sequences."""
    shim = get_shim(model.layers[0])
    windows: WindowEncoding = model.attrs["windows"]
    if is_train:
        begun = shim.begun.take(X, windows.made_of) or []
        in_order = [place for place, _ in begun] == list(range(len(X)))
        return begun[0][1] if begun and in_order else None
    parts = shim.predicted.take(X, windows.made_of)
    if not parts:
        return None
    lengths = np.concatenate([part.lengths for part in parts])
    per_sequence = np.concatenate([part.per_sequence for part in parts])
    return PieceHiddenStates(model.ops.xp.concatenate([part.states for part in parts]), lengths, per_sequence)


def _compute(model: Model[InT, OutT], X: InT, is_train: bool) -> PieceHiddenStates:
    encode = model.layers[0]
    windows: WindowEncoding = model.attrs["windows"]
    encoded = windows.encode(X, [get_shim(encode)])
    rows = encoded.rows
    if not len(rows.states.window):
        return PieceHiddenStates(model.ops.alloc2f(0, model.get_dim("nO")), rows.lengths, rows.per_sequence)
    batches = windows.batch(encoded.windows, [rows.states], get_shim(encode).backbone, is_train=is_train)
    states, backprop = encode(batches, is_train)
    return PieceHiddenStates(states, rows.lengths, rows.per_sequence, backprop)


def init(model: Model[InT, OutT], X: InT | None = None, Y: OutT | None = None) -> None:
    """Load the backbone and set nO to its hidden width, whatever was found before."""
    encode, _ = model.layers
    encode.initialize()
    model.set_dim("nO", encode.get_dim("nO"), force=True)
