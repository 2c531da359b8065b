"""From Docs to windows of pieces: layout, pieces, windows and rows, step by step.

In: Docs, a layout, a backbone, window limits, and which rows are wanted. Out: `EncodedDocs`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from spacy.tokens import Doc

from ..backbones.backbone import Backbone
from .bodies import Bodies, Places, line_up
from .encoded import EncodedDocs, EncodedWindows, RowKind
from .frames import Frames, Part, Ragged, build_frames
from .layouts import DocLayout
from .locating import Locator
from .pieces import Ints1d, piece_docs, ramps, starts_of
from .sequences import InputSequence, Layout
from .windows import PieceRange, WindowLimits, Windows, cut_windows


def encode_docs(
    docs: Sequence[Doc],
    backbone: Backbone,
    limits: WindowLimits,
    *,
    with_word_shapes: bool,
    layout: Layout | None = None,
    rows: RowKind = "tokens",
) -> EncodedDocs:
    """Lay out, tokenise, cut into windows and align a batch of Docs.

    layout (Layout | None): Turns the Docs into sequences; None for one sequence per Doc.
    rows (RowKind): One row for each token of a body, for each sequence, or for each marked span.
    """
    sequences = (layout or DocLayout())(docs)
    texts = {id(doc): doc for doc in docs}
    texts |= {id(s.other.doc): s.other.doc for s in sequences if s.other is not None}
    pieces = piece_docs(
        list(texts.values()), backbone.tokenizer, with_word_shapes=with_word_shapes, special_ids=backbone.special_ids
    )
    places = Places(pieces, list(texts))
    bodies = line_up(sequences, places)
    frames = build_frames(sequences, places, backbone, limits.window)
    windows = _cut(sequences, places, bodies, frames, limits)
    locator = Locator(sequences, places, bodies, windows, frames)
    return EncodedDocs(
        _assemble(bodies, windows, frames),
        locator.rows(rows, last_piece=backbone.sizes.reads_last_piece),
        windows.per_body,
        np.fromiter((s.doc for s in sequences), dtype=np.int64, count=len(sequences)),
    )


def _cut(
    sequences: Sequence[InputSequence], places: Places, bodies: Bodies, frames: Frames, limits: WindowLimits
) -> Windows:
    has_tokens = np.fromiter((len(s.body) > 0 for s in sequences), dtype=bool, count=len(sequences))
    room = np.where(has_tokens, limits.window - frames.n_before - frames.n_after, 0)
    # The text that stays in every window may leave little room; then neighbours share less.
    overlap = np.where(frames.of > 0, np.minimum(limits.overlap, room // 2), limits.overlap)
    stretches = None
    if any(s.stretches is not None for s in sequences):
        stretches = [_stretches(number, s, places, bodies) for number, s in enumerate(sequences)]
    return cut_windows(bodies.lengths, room=room, overlap=overlap, stretches=stretches)


def _stretches(number: int, sequence: InputSequence, places: Places, bodies: Bodies) -> list[PieceRange]:
    """Return the ranges on the line that windows over a body are cut within. Stretches without tokens are skipped."""
    start = int(bodies.starts[number])
    whole = [(start, start + int(bodies.lengths[number]))]
    if sequence.stretches is None or bodies.start[number] == bodies.end[number]:
        return whole
    doc = sequence.body.doc
    ranges = [places.piece_range(doc[a:b]) for a, b in sequence.stretches if b > a]
    ends = np.array([(first, last - 1) for first, last in ranges], dtype=np.int64).reshape(-1, 2)
    on_line = [bodies.on_line(np.full(len(ends), number), column) for column in ends.T]
    return [(int(a), int(b) + 1) for a, b in zip(*on_line, strict=True)] or [(start, start)]


def _assemble(bodies: Bodies, windows: Windows, frames: Frames) -> EncodedWindows:
    """Write out the windows, each with the frame around its body."""
    frame = np.repeat(frames.of, windows.per_body)
    before, after = (Ragged.of([getattr(f, side) for f in frames.parts]) for side in ("before", "after"))
    n_body = windows.ends - windows.starts
    lengths = before.lengths[frame] + n_body + after.lengths[frame]
    body_types = np.array([f.body_type for f in frames.parts], dtype=np.int64)
    line = Part(bodies.ids, bodies.word_shape, np.zeros_like(bodies.ids))
    flat = Part(*(np.zeros(lengths.sum(), dtype=np.int64) for _ in range(3)))
    starts = starts_of(lengths)
    _copy(before.part, before.starts[frame], before.lengths[frame], flat, starts)
    starts = starts + before.lengths[frame]
    to = _copy(line, windows.starts, n_body, flat, starts)
    flat.types[to] = np.repeat(body_types[frame], n_body)
    _copy(after.part, after.starts[frame], after.lengths[frame], flat, starts + n_body)
    return EncodedWindows(flat.ids, flat.word_shape, flat.types if flat.types.any() else None, lengths)


def _copy(source: Part, starts: Ints1d, lengths: Ints1d, target: Part, places: Ints1d) -> Ints1d:
    """Copy stretches of one part into another. RETURNS (Ints1d): Their positions in the target."""
    ramp = ramps(lengths)
    to, found = (np.repeat(first, lengths) + ramp for first in (places, starts))
    for name in ("ids", "word_shape", "types"):
        getattr(target, name)[to] = getattr(source, name)[found]
    return to
