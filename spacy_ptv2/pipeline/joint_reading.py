"""Runs several document layers in one pass of their backbone, over the same Docs or over different ones.

In: requests, each a layer (`Tok2VecPTuning`) and its Docs. Out: hidden states in each layer's `Precomputed`, until it
is called with these Docs. Every Doc is tokenised and aligned once, and layers that can share a pass do.
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
from ..alignment.encoded import WantedStates, concatenate
from ..alignment.layouts import DocLayout
from ..alignment.pieces import Ints1d
from ..bridge.adapter_shim import AdapterShim
from ..bridge.precomputed import PieceHiddenStates
from ..bridge.training_pass import TrainingPass, predict_jointly
from ..bridge.window_encoding import WindowEncoding
from ..layers.encode_pieces import get_shim
from ..layers.tok2vec_ptuning import LAYER_NAME
from .batching import MAX_BUFFERED_TOKENS


@dataclass(frozen=True)
class Request:
    """A layer (`Tok2VecPTuning`) and the Docs to read for it.

    layer (Model), docs (Sequence[Doc]): The layer and its Docs.
    copies (Sequence[Doc] | None): Copies of the Docs, if the layer will be called with these instead.
    """

    layer: Model[Any, Any]
    docs: Sequence[Doc]
    copies: Sequence[Doc] | None = None

    @property
    def shim(self) -> AdapterShim:
        """The layer's shim, which has the adapter."""
        return get_shim(self.layer.layers[0])

    @property
    def windows(self) -> WindowEncoding:
        """How the layer cuts documents."""
        windows: WindowEncoding = self.layer.attrs["windows"]
        return windows

    @property
    def n_tokens(self) -> int:
        """How many tokens the backbone reads; more than the Docs have where it reads them several times.

        What is too much for one pass is left to the layer's component, which reads it in parts.
        """
        layout = self.windows.layout
        if isinstance(layout, DocLayout):
            return 0  # the stream of Docs is cut already
        return sum(sequence.n_tokens for sequence in layout(self.docs))

    def pass_settings(self, *, is_train: bool) -> Hashable:
        """Return what must be equal for layers to share a pass.

        In training that includes the layout: with other windows in its batches, a layer's dropout would differ.
        """
        windows = self.windows if is_train else self.windows.options.batch_pieces
        return self.shim.encoder.pass_settings(training=is_train), windows


def joint_layers(models: Iterable[Model[Any, Any] | None]) -> list[Model[Any, Any]]:
    """Return the layers in some models that can share a pass: document layers whose adapter is initialised."""
    nodes = [node for model in models if model is not None for node in model.walk()]
    found = {id(node): node for node in nodes if node.name == LAYER_NAME and get_shim(node.layers[0]).is_initialized}
    return list(found.values())


def read_ahead(requests: Sequence[Request]) -> None:
    """Precompute what layers will predict; each then takes its part. A layer that could only run alone is skipped."""
    small = [request for request in requests if request.n_tokens <= MAX_BUFFERED_TOKENS]
    for group in _joinable(small, is_train=False):
        batch = _JointBatch(group)
        if batch.is_empty:
            continue
        predicted = predict_jointly([request.shim.encoder for request in group], batch.windows(is_train=False))
        for request, parts, states in zip(group, batch.parts, predicted, strict=True):
            bounds = np.cumsum([len(part.states) for part in parts])[:-1]
            by_doc = [
                PieceHiddenStates(own, part.lengths, part.per_sequence)
                for own, part in zip(get_array_module(states).split(states, bounds), parts, strict=True)
            ]
            request.shim.predicted.give(request.copies or request.docs, by_doc, request.windows.made_of)


def begin_update_ahead(requests: Sequence[Request]) -> list[TrainingPass]:
    """Run the forward pass of a training step for layers that will be called with these Docs next.

    Layers draw the seeds of their dropout in the order of the requests, as they would one by one.
    RETURNS (list[TrainingPass]): Each runs its backward pass once the last of its layers hands in its gradient, or in
        `finish()`.
    """
    reserve_seeds(request.layer for request in requests)
    steps = []
    for group in _joinable(requests, is_train=True):
        batch = _JointBatch(group)
        if batch.is_empty:
            continue
        step = TrainingPass([request.shim for request in group], batch.windows(is_train=True))
        for number, (request, states) in enumerate(zip(group, step.states, strict=True)):
            parts = batch.parts[number]
            lengths = np.concatenate([part.lengths for part in parts])
            per_sequence = np.concatenate([part.per_sequence for part in parts])
            own = PieceHiddenStates(states, lengths, per_sequence, partial(step.backprop, number))
            of_docs = [(place, own) for place in range(len(request.docs))]
            request.shim.begun.give(request.docs, of_docs, request.windows.made_of)
        steps.append(step)
    return steps


def reserve_seeds(layers: Iterable[Model[Any, Any]]) -> None:
    """Let layers (`Tok2VecPTuning`), one after the other, draw the seed of dropout in their next training pass."""
    for layer in layers:
        get_shim(layer.layers[0]).encoder.reserve_seed()


def _joinable(requests: Sequence[Request], *, is_train: bool) -> list[list[Request]]:
    groups: dict[Hashable, list[Request]] = defaultdict(list)
    for request in requests:
        if request.docs:
            groups[request.pass_settings(is_train=is_train)].append(request)
    return [group for group in groups.values() if len(group) > 1]


@dataclass(frozen=True)
class _Part:
    """What is wanted for a Doc. states (Ints1d): Their indices among all states of an encoding. Others: See `Rows`."""

    states: Ints1d
    lengths: Ints1d
    per_sequence: Ints1d


class _Encoding:
    """The Docs of requests with the same layout and windows, each encoded once."""

    def __init__(self, requests: Sequence[Request]) -> None:
        docs = {id(doc): doc for request in requests for doc in request.docs}
        windows = requests[0].windows
        self.encoded = windows.encode(list(docs.values()), [request.shim for request in requests])
        rows = self.encoded.rows
        sequences = np.searchsorted(self.encoded.doc_of, np.arange(len(docs) + 1))
        row_bounds = np.cumsum([0, *rows.per_sequence])
        state_bounds = np.cumsum([0, *rows.lengths])
        self._parts = {}
        for key, (first, last) in zip(docs, pairwise(sequences.tolist()), strict=True):
            of_doc = slice(row_bounds[first], row_bounds[last])
            states = np.arange(state_bounds[of_doc.start], state_bounds[of_doc.stop])
            self._parts[key] = _Part(states, rows.lengths[of_doc], rows.per_sequence[first:last])

    def parts(self, request: Request) -> list[_Part]:
        """Return what a request wants for each of its Docs."""
        return [self._parts[id(doc)] for doc in request.docs]

    def wanted(self, request: Request, first_window: int) -> WantedStates:
        """Return the same as positions in windows. first_window (int): Number of windows of earlier encodings."""
        places = np.concatenate([part.states for part in self.parts(request)])
        states = self.encoded.rows.states
        return WantedStates(states.window[places] + first_window, states.column[places])


class _JointBatch:
    """The Docs of some requests, as windows of one pass.

    parts (list[list[_Part]]): What each request wants for each of its Docs.
    """

    def __init__(self, group: Sequence[Request]) -> None:
        self._group = group
        by_windows: dict[Hashable, list[Request]] = defaultdict(list)
        for request in group:
            by_windows[request.windows].append(request)
        self._encodings = {windows: _Encoding(requests) for windows, requests in by_windows.items()}
        self.parts = [self._encodings[request.windows].parts(request) for request in group]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is wanted."""
        return not any(len(part.states) for parts in self.parts for part in parts)

    def windows(self, *, is_train: bool) -> WindowBatches:
        """Return the batches of windows, with the hidden states that each layer of the group wants."""
        all_windows = [encoding.encoded.windows for encoding in self._encodings.values()]
        starts = np.cumsum([0, *(len(windows.lengths) for windows in all_windows)]).tolist()
        first = dict(zip(self._encodings, starts, strict=False))
        wanted = [self._encodings[r.windows].wanted(r, first[r.windows]) for r in self._group]
        leader = self._group[0]
        return leader.windows.batch(concatenate(all_windows), wanted, leader.shim.backbone, is_train=is_train)
