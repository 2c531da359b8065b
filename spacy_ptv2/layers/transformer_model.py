"""The drop-in replacement for spacy-transformers' TransformerModel: Docs in, a FullTransformerBatch out.

It works under the factory "transformer" and feeds `spacy-transformers.TransformerListener.v1`. The batch carries every
piece, padded, as that package expects; our own component passes on token vectors only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias, cast

import numpy as np
from spacy.tokens import Doc, Span
from spacy_transformers.data_classes import FullTransformerBatch, TransformerData, WordpieceBatch
from spacy_transformers.layers import split_trf_batch
from thinc.api import Model, Shim, chain, torch2xp, xp2torch
from thinc.types import Floats3d, Ragged
from transformers.modeling_outputs import BaseModelOutput
from transformers.modeling_utils import PreTrainedModel

from ..alignment.encoded import EncodedDocs, WantedStates
from ..alignment.pieces import ramps, starts_of
from ..backbones.model_config import asked_in_vain, find_config, find_width
from ..bridge.adapter_shim import AdapterShim
from ..bridge.arrays import to_ints
from ..bridge.window_encoding import WindowEncoding
from ..errors import Errors, PTuningError
from .encode_pieces import EncodePieces, get_shim

InT = list[Doc]
OutT: TypeAlias = FullTransformerBatch
REPLACED_ARCHITECTURE = "spacy_ptv2.ReplacedTransformerListener.v1"
POOLING_SETTINGS = ("pooling", "grad_factor")


class TransformerModel(Model[InT, OutT]):
    """The layer, with the public attributes of the one in spacy-transformers.

    X (list[Doc]): Docs.
    Y (FullTransformerBatch): The hidden states of all pieces, and their alignment. Shape: (windows, pieces, nO). nO is
        known at once if the backbone is on this machine, otherwise after initialisation.
    transformer_config (Mapping[str, Any]): Settings of transformers that the backbone must have.
    RAISES (PTuningError): P207 if it has others.
    """

    def __init__(
        self, shim: AdapterShim, windows: WindowEncoding, transformer_config: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        check_transformer_config(transformer_config, find_config(shim.source) if transformer_config else None)
        super().__init__(
            "transformer_model",
            forward,
            init=init,
            layers=[EncodePieces(shim)],
            dims={"nO": find_width(shim.source)},
            attrs={
                "windows": windows,
                "transformer_config": dict(transformer_config),
                "replace_listener": replace_listener,
                "replace_listener_cfg": replace_listener_cfg,
            },
        )

    @property
    def tokenizer(self) -> Any | None:
        """The backbone's transformers tokenizer; None before initialisation."""
        shim = get_shim(self.layers[0])
        return shim.backbone.tokenizer if shim.is_initialized else None

    @property
    def transformer(self) -> PreTrainedModel | None:
        """The backbone's transformers model, frozen and shared; None before initialisation."""
        shim = get_shim(self.layers[0])
        return shim.backbone.model if shim.is_initialized else None

    def _copy(self, seen: dict[int, Model[Any, Any] | Shim] | None = None) -> TransformerModel:
        """Return a copy of this class; Thinc's own method would return a plain Model."""
        plain = super()._copy(seen)
        copied = TransformerModel(get_shim(plain.layers[0]), plain.attrs["windows"])
        copied._layers, copied._dims, copied._attrs = plain._layers, plain._dims, plain._attrs
        return copied


def forward(model: Model[InT, OutT], X: InT, is_train: bool) -> tuple[OutT, Callable[[OutT], InT]]:
    """See `TransformerModel`."""
    encode = model.layers[0]
    windows: WindowEncoding = model.attrs["windows"]
    encoded = windows.encode(X, [get_shim(encode)])
    lengths = encoded.windows.lengths
    if not len(lengths):
        return FullTransformerBatch.empty(len(X)), lambda dY: X
    every = WantedStates(np.repeat(np.arange(len(lengths)), lengths), ramps(lengths))
    rows, backprop_encode = encode(
        windows.batch(encoded.windows, [every], get_shim(encode).backbone, is_train=is_train), is_train
    )
    n_windows, n_columns, width = len(lengths), int(lengths.max()), model.get_dim("nO")
    places = to_ints(model.ops, every.window * n_columns + every.column)
    states = model.ops.alloc2f(n_windows * n_columns, width)
    states[places] = rows
    output = _full_batch(X, encoded, model.ops.reshape3f(states, n_windows, n_columns, width), get_shim(encode))

    def backprop(dY: OutT) -> InT:
        (d_states,) = dY.model_output.to_tuple()
        d_rows = model.ops.reshape2f(cast(Floats3d, torch2xp(d_states)), -1, width)
        backprop_encode(d_rows[places])
        return X

    return output, backprop


def init(model: Model[InT, OutT], X: InT | None = None, Y: OutT | None = None) -> None:
    """Load the backbone and set nO to its hidden width, whatever was found before."""
    encode = model.layers[0]
    encode.initialize()
    check_transformer_config(model.attrs["transformer_config"], get_shim(encode).backbone.model.config)
    model.set_dim("nO", encode.get_dim("nO"), force=True)


def check_transformer_config(wanted: Mapping[str, Any], config: Any | None) -> None:
    """Refuse settings that would make the backbone another model. config (Any | None): As in `asked_in_vain`.

    RAISES (PTuningError): P207.
    """
    got = asked_in_vain(wanted, config)
    if got:
        raise PTuningError(Errors.P207.format(got=got))


def replace_listener(model: Model[InT, OutT]) -> Model[InT, Any]:
    """Return what takes a listener's place in `nlp.replace_listeners`; the backbone stays shared."""
    return chain(model, split_trf_batch())


def replace_listener_cfg(tok2vec_model_cfg: dict[str, Any], listener_model_cfg: dict[str, Any]) -> dict[str, Any]:
    """Return the config block of a component whose listener was replaced."""
    pooling: dict[str, Any] = {key: value for key, value in listener_model_cfg.items() if key in POOLING_SETTINGS}
    return {**pooling, "@architectures": REPLACED_ARCHITECTURE, "transformer": dict(tok2vec_model_cfg)}


def _full_batch(docs: InT, encoded: EncodedDocs, states: Floats3d, shim: AdapterShim) -> OutT:
    n_columns = states.shape[1]
    wordpieces = _wordpieces(encoded, n_columns, shim)
    flat, lengths = _alignment(encoded, n_columns, has_first_piece=bool(shim.backbone.special_pieces[0]))
    doc_data: list[TransformerData] = []
    first_window = first_token = first_row = 0
    for n_windows, n_tokens in zip(
        encoded.windows_per_sequence.tolist(), encoded.rows.per_sequence.tolist(), strict=True
    ):
        if n_windows == 0:
            doc_data.append(TransformerData.empty())
            continue
        doc_windows = slice(first_window, first_window + n_windows)
        doc_lengths = lengths[first_token : first_token + n_tokens]
        n_rows = int(doc_lengths.sum())
        align = Ragged(flat[first_row : first_row + n_rows] - first_window * n_columns, doc_lengths)
        output = _model_output(states[doc_windows])
        doc_data.append(TransformerData(wordpieces=wordpieces[doc_windows], model_output=output, align=align))
        first_window, first_token, first_row = first_window + n_windows, first_token + n_tokens, first_row + n_rows
    spans: list[list[Span]] = [[doc[:]] if len(doc) else [] for doc in docs]
    return FullTransformerBatch(
        spans=spans,
        wordpieces=wordpieces,
        model_output=_model_output(xp2torch(states, device=shim.backbone.device)),
        align=Ragged(flat, lengths),
        cached_doc_data=doc_data,
    )


def _alignment(encoded: EncodedDocs, n_columns: int, *, has_first_piece: bool) -> tuple[Any, Any]:
    """Return the positions of all tokens' pieces, and how many each token has, as spacy-transformers keeps them.

    Both are numpy arrays, whatever the device. Whitespace tokens are aligned with the special piece before their Doc:
    this gives them a vector of their own, and some poolings need a piece. has_first_piece (bool): Whether there is one.
    """
    rows = encoded.rows
    lengths, places = rows.lengths, rows.states.window * n_columns + rows.states.column
    if has_first_piece:
        spaces = np.flatnonzero(lengths == 0)
        first_window = np.repeat(starts_of(encoded.windows_per_sequence), rows.per_sequence)
        places = np.insert(places, starts_of(lengths)[spaces], first_window[spaces] * n_columns)
        lengths = np.maximum(lengths, 1)
    return places.astype("int32"), lengths.astype("int32")


def _model_output(states: Any) -> BaseModelOutput:
    """Wrap hidden states as listeners expect them: arrays on Docs, a tensor in the batch."""
    return BaseModelOutput(last_hidden_state=states)


def _wordpieces(encoded: EncodedDocs, n_columns: int, shim: AdapterShim) -> WordpieceBatch:
    tokenizer, pad_id = shim.backbone.tokenizer, shim.backbone.pad_id
    ids: Any = np.stack([np.pad(row, (0, n_columns - len(row)), constant_values=pad_id) for row in encoded.windows.ids])
    mask: Any = (np.arange(n_columns) < encoded.windows.lengths[:, None]).astype("float32")
    strings = [cast(list[str], tokenizer.convert_ids_to_tokens(row)) for row in ids]
    lengths = encoded.windows.lengths.tolist()
    return WordpieceBatch(strings=strings, input_ids=ids, attention_mask=mask, lengths=lengths, token_type_ids=None)
