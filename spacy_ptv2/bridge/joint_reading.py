"""Several prompt-tuned document layers in one pass of their backbone, over the same Docs or each over its own.

In: requests, a layer (`Tok2VecPTuning`) and its Docs each. Every Doc is tokenised and aligned once, layers that can
run together do, and what comes out waits in each layer's `Precomputed` until it is called with these Docs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from spacy.tokens import Doc
from thinc.api import Model, get_array_module

from ..adapters.batches import WindowBatches
from ..alignment.encoding import WantedStates
from ..layers.encode_pieces import get_shim
from ..layers.tok2vec_ptuning import LAYER_NAME
from .adapter_shim import AdapterShim
from .precomputed import PieceHiddenStates
from .training_pass import TrainingPass, predict_jointly
from .window_encoding import WindowEncoding


@dataclass(frozen=True)
class Request:
    """A layer (`Tok2VecPTuning`) and Docs to read for it.

    layer (Model), docs (Sequence[Doc]), copies (Sequence[Doc] | None): What it will be called with, copies of the Docs
    if they are not the Docs themselves.
    """

    layer: Model[Any, Any]
    docs: Sequence[Doc]
    copies: Sequence[Doc] | None = None

    @property
    def shim(self) -> AdapterShim:
        """Where the prompt is."""
        return get_shim(self.layer.layers[0])

    @property
    def windows(self) -> WindowEncoding:
        """How the layer cuts documents."""
        windows: WindowEncoding = self.layer.attrs["windows"]
        return windows

    def pass_settings(self, *, is_train: bool) -> Hashable:
        """What must be equal for layers that run in one pass."""
        return self.shim.encoder.pass_settings(training=is_train), self.windows


def joint_layers(models: Iterable[Model[Any, Any] | None]) -> list[Model[Any, Any]]:
    """Return the layers in some models that can run together with others, those without a loaded prompt left out."""
    nodes = [node for model in models if model is not None for node in model.walk()]
    found = {id(node): node for node in nodes if node.name == LAYER_NAME and get_shim(node.layers[0]).is_initialized}
    return list(found.values())


def read_ahead(requests: Sequence[Request]) -> None:
    """Compute what layers will predict; each then takes its part. One that has none to run with is left out."""
    for group in _joinable(requests, is_train=False):
        batch = _JointBatch(group)
        if not len(batch.encoded.token_window):
            continue
        predicted = predict_jointly([request.shim.encoder for request in group], batch.windows(is_train=False))
        for request, rows, states in zip(group, batch.rows, predicted, strict=True):
            bounds = np.cumsum([len(own) for own in rows])[:-1]
            parts = get_array_module(states).split(states, bounds)
            lengths = [batch.lengths[place] for place in batch.places(request)]
            by_doc = [PieceHiddenStates(*pair) for pair in zip(parts, lengths, strict=True)]
            request.shim.predicted.give(request.copies or request.docs, by_doc)


def begin_update_ahead(requests: Sequence[Request]) -> list[TrainingPass]:
    """Run the forward pass of a training step for layers that will be called with these Docs next.

    Each layer draws what it drops in its order among the requests, as it does where it runs by itself.
    RETURNS (list[TrainingPass]): Each runs its backward pass when the last of its layers hands in its gradient, or with
        `finish()`.
    """
    reserve_seeds(request.layer for request in requests)
    steps = []
    for group in _joinable(requests, is_train=True):
        batch = _JointBatch(group)
        if not len(batch.encoded.token_window):
            continue
        step = TrainingPass([request.shim for request in group], batch.windows(is_train=True))
        for number, (request, states) in enumerate(zip(group, step.states, strict=True)):
            lengths = np.concatenate([batch.lengths[place] for place in batch.places(request)])
            own = PieceHiddenStates(states, lengths, partial(step.backprop, number))
            request.shim.begun.give(request.docs, [(place, own) for place in range(len(request.docs))])
        steps.append(step)
    return steps


def reserve_seeds(layers: Iterable[Model[Any, Any]]) -> None:
    """Let layers (`Tok2VecPTuning`), one after the other, draw what decides on dropout in their next training pass."""
    for layer in layers:
        get_shim(layer.layers[0]).encoder.reserve_seed()


def _joinable(requests: Sequence[Request], *, is_train: bool) -> list[list[Request]]:
    groups: dict[Hashable, list[Request]] = defaultdict(list)
    for request in requests:
        if request.docs:
            groups[request.pass_settings(is_train=is_train)].append(request)
    return [group for group in groups.values() if len(group) > 1]


class _JointBatch:
    """The Docs of some requests, each encoded once.

    encoded (EncodedDocs): All of them. lengths (list[Ints1d]): Pieces per token of each Doc.
    rows (list[list[Ints1d]]): For each request and each of its Docs, the rows of `encoded` that hold its pieces.
    """

    def __init__(self, group: Sequence[Request]) -> None:
        self._group = group
        docs = {id(doc): doc for request in group for doc in request.docs}
        self._place = {key: place for place, key in enumerate(docs)}
        self.encoded = group[0].windows.encode(list(docs.values()), [request.shim for request in group])
        tokens = np.cumsum([0, *self.encoded.tokens_per_doc])
        pieces = np.cumsum([0, *self.encoded.pieces_per_token])[tokens]
        self.lengths = np.split(self.encoded.pieces_per_token, tokens[1:-1])
        of_doc = [np.arange(start, end) for start, end in pairwise(pieces)]
        self.rows = [[of_doc[place] for place in self.places(request)] for request in group]

    def places(self, request: Request) -> list[int]:
        """Return which of the encoded Docs are those of a request."""
        return [self._place[id(doc)] for doc in request.docs]

    def windows(self, *, is_train: bool) -> WindowBatches:
        """Return the batches of windows, with the states that each layer of the group wants of them."""
        rows = [np.concatenate(own) for own in self.rows]
        wanted = [WantedStates(self.encoded.token_window[own], self.encoded.token_column[own]) for own in rows]
        leader = self._group[0]
        return leader.windows.batch(self.encoded, wanted, leader.shim.backbone, is_train=is_train)
