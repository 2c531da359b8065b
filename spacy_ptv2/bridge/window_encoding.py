"""Settings and steps that both document layers share: Docs to windows, windows to batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spacy.tokens import Doc

from ..adapters.batches import WindowBatches
from ..adapters.encoder import AdaptedEncoder
from ..alignment.encoding import (
    CPU_BATCH_COST,
    CPU_TRAINING_BATCH_COST,
    GPU_BATCH_COST,
    EncodedDocs,
    WantedStates,
    WindowLimits,
    batch_windows,
    encode_docs,
    resolve_limits,
)
from ..backbones.backbone import Backbone
from ..options import WindowOptions
from ..types import SpanGetter
from .adapter_shim import AdapterShim


@dataclass(frozen=True)
class WindowEncoding:
    """How Docs become windows. options (WindowOptions); get_spans (SpanGetter | None): Stretches to cut within."""

    options: WindowOptions
    get_spans: SpanGetter | None = None

    def encode(self, docs: Sequence[Doc], shims: Sequence[AdapterShim]) -> EncodedDocs:
        """Tokenise, cut and align Docs for shims of one backbone.

        RAISES (PTuningError): As `limits`.
        """
        limits = self.limits(shims[0].encoder)
        with_word_shapes = any(shim.encoder.word_shape is not None for shim in shims)
        return encode_docs(docs, shims[0].backbone, limits, with_word_shapes=with_word_shapes, get_spans=self.get_spans)

    def limits(self, encoder: AdaptedEncoder) -> WindowLimits:
        """Return how long windows are for an encoder.

        RAISES (PTuningError): P203, P206 or P212 if they do not fit its backbone and prompt.
        """
        prefix, suffix = encoder.backbone.special_pieces
        return resolve_limits(
            self.options.window,
            self.options.overlap,
            most=encoder.backbone.max_positions,
            n_special=len(prefix) + len(suffix),
            shift=encoder.shift or 0,
            whole_spans=self.get_spans is not None,
        )

    def batch(
        self, encoded: EncodedDocs, wanted: Sequence[WantedStates], backbone: Backbone, *, is_train: bool
    ) -> WindowBatches:
        """Pad the windows into batches within the budget, for one or several encoders."""
        on_cpu = CPU_TRAINING_BATCH_COST if is_train else CPU_BATCH_COST
        return batch_windows(
            encoded,
            wanted,
            budget=self.options.batch_pieces,
            pad_id=backbone.pad_id,
            is_train=is_train,
            per_batch=on_cpu if backbone.device.type == "cpu" else GPU_BATCH_COST,
        )
