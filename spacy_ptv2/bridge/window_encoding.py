"""How a layer encodes Docs: its layout, windows and batches."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from spacy.tokens import Doc

from ..adapters.batches import WindowBatches
from ..adapters.encoder import AdaptedEncoder
from ..alignment.batches import CPU_BATCH_COST, CPU_TRAINING_BATCH_COST, GPU_BATCH_COST, batch_windows
from ..alignment.encoded import EncodedDocs, EncodedWindows, RowKind, WantedStates
from ..alignment.encoding import encode_docs
from ..alignment.layouts import DocLayout
from ..alignment.sequences import Layout
from ..alignment.windows import WindowLimits, resolve_limits
from ..backbones.backbone import Backbone
from ..options import WindowOptions
from .adapter_shim import AdapterShim


@dataclass(frozen=True)
class WindowEncoding:
    """How Docs become windows for a backbone, and its hidden states rows.

    options (WindowOptions): How long windows are.
    layout (Layout): Turns Docs into sequences.
    rows (RowKind): The rows that are made of a sequence.
    """

    options: WindowOptions
    layout: Layout = field(default_factory=DocLayout)
    rows: RowKind = "tokens"

    def encode(self, docs: Sequence[Doc], shims: Sequence[AdapterShim]) -> EncodedDocs:
        """Lay out, tokenise, cut and align Docs for shims that share a backbone.

        RAISES (PTuningError): As `limits`.
        """
        limits = self.limits(shims[0].encoder)
        with_word_shapes = any(shim.encoder.word_shape is not None for shim in shims)
        backbone = shims[0].backbone
        return encode_docs(
            docs, backbone, limits, with_word_shapes=with_word_shapes, layout=self.layout, rows=self.rows
        )

    def made_of(self, doc: Doc) -> Hashable:
        """Return what determines the sequences of a Doc. Values precomputed for other sequences are not used."""
        if self.layout == DocLayout():
            return None
        return tuple(sequence.key for sequence in self.layout([doc]))

    def limits(self, encoder: AdaptedEncoder) -> WindowLimits:
        """Return the window limits for an encoder.

        RAISES (PTuningError): P203, P206 or P212 if they do not fit its backbone and prompt.
        """
        prefix, suffix = encoder.backbone.special_pieces
        return resolve_limits(
            self.options.length,
            self.options.overlap,
            most=encoder.backbone.max_positions,
            n_special=len(prefix) + len(suffix),
            shift=encoder.shift or 0,
            whole_spans=isinstance(self.layout, DocLayout) and self.layout.get_spans is not None,
        )

    def batch(
        self, windows: EncodedWindows, wanted: Sequence[WantedStates], backbone: Backbone, *, is_train: bool
    ) -> WindowBatches:
        """Pad windows into batches within the budget, for one or several encoders."""
        on_cpu = CPU_TRAINING_BATCH_COST if is_train else CPU_BATCH_COST
        return batch_windows(
            windows,
            wanted,
            budget=self.options.batch_pieces,
            pad_id=backbone.pad_id,
            is_train=is_train,
            per_batch=on_cpu if backbone.device.type == "cpu" else GPU_BATCH_COST,
        )
