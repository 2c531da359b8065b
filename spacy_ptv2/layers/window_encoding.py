"""Settings and steps that both document layers share: Docs to windows, windows to batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spacy.tokens import Doc

from ..alignment.encoding import EncodedDocs, SpanGetter, WindowBatches, batch_windows, encode_docs, resolve_limits
from ..alignment.pieces import Ints1d
from ..options import WindowOptions
from .prompt_shim import PromptShim


@dataclass(frozen=True)
class WindowEncoding:
    """How Docs become windows. options (WindowOptions); get_spans (SpanGetter | None): Stretches to cut within."""

    options: WindowOptions
    get_spans: SpanGetter | None = None

    def encode(self, docs: Sequence[Doc], shim: PromptShim) -> EncodedDocs:
        """Tokenise, cut and align Docs for the backbone of a shim.

        RAISES (PTuningError): P203 or P206 if the window does not fit the backbone.
        """
        backbone, encoder = shim.backbone, shim.encoder
        prefix, suffix = backbone.special_pieces
        limits = resolve_limits(
            self.options.window,
            self.options.overlap,
            most=backbone.max_positions,
            n_special=len(prefix) + len(suffix),
            shift=encoder.prompt.longest if encoder.shift_positions else 0,
        )
        with_casing = encoder.casing is not None
        return encode_docs(docs, backbone, limits, with_casing=with_casing, get_spans=self.get_spans)

    def batch(self, encoded: EncodedDocs, window: Ints1d, column: Ints1d, shim: PromptShim) -> WindowBatches:
        """Pad the windows into batches within the budget, asking for the states at (window, column)."""
        budget, pad_id = self.options.batch_pieces, shim.backbone.pad_id
        return batch_windows(encoded, window, column, budget=budget, pad_id=pad_id)
