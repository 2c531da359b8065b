"""Pieces, windows and batches: no token is ever dropped, and nothing depends on how Docs are batched."""

from itertools import chain, combinations, pairwise

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc

from spacy_ptv2.alignment.batches import batch_windows, group_with_little_padding
from spacy_ptv2.alignment.encoded import WantedStates
from spacy_ptv2.alignment.encoding import encode_docs
from spacy_ptv2.alignment.layouts import DocLayout
from spacy_ptv2.alignment.pieces import NO_PIECE, piece_docs
from spacy_ptv2.alignment.windows import WindowLimits, cut_windows, resolve_limits
from spacy_ptv2.alignment.word_shape import (
    ALPHANUMERIC,
    INITIAL,
    LOWER,
    MIXED,
    N_WORD_SHAPES,
    NONE,
    NUMBER,
    OTHER,
    TITLE,
    UPPER,
    word_shape_of,
)
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.bridge.window_encoding import WindowEncoding
from spacy_ptv2.errors import PTuningError
from spacy_ptv2.options import WindowOptions

from ..tiny import build_tokenizer
from .plain import plain_encoding, plain_word_shape_of

NLP = spacy.blank("en")
ODD_TEXTS = [
    "",
    " ",
    " \n\t ",
    "👩‍👩‍👧 family 👍🏽 emoji",
    "zero\u200bwidth\u200b \u200b joiner\ufeff",
    "control\x00 \x07 characters \x1b[0m",
    "x" * 3000,
    "a-b" * 1000,
    "Ünïcödé ﬁne ① 漢字 مرحبا",
    "don't can't 3,000.50 U.S.A.",
    "\u0301\u0301 combining",
    "end with space ",
]


@pytest.fixture(params=["tiny_folder", "roberta_folder"])
def backbone(request):
    return get_backbone(BackboneSource(str(request.getfixturevalue(request.param))))


def check_encoding(docs, encoded, limits):
    assert encoded.rows.per_sequence.tolist() == [len(doc) for doc in docs]
    assert len(encoded.rows.lengths) == sum(len(doc) for doc in docs)
    is_space = np.array([token.is_space for doc in docs for token in doc], dtype=bool)
    assert ((encoded.rows.lengths == 0) == is_space).all()
    assert len(encoded.rows.states.window) == len(encoded.rows.states.column) == encoded.rows.lengths.sum()
    lengths = np.array([len(ids) for ids in encoded.windows.ids])
    assert (lengths <= limits.window).all()
    if len(lengths):
        assert (encoded.rows.states.column < lengths[encoded.rows.states.window]).all()
    assert (encoded.rows.states.column >= 0).all()
    # every token reads from a window of its own Doc
    window_doc = np.repeat(np.arange(len(docs)), encoded.windows_per_sequence)
    row_doc = np.repeat(np.repeat(np.arange(len(docs)), encoded.rows.per_sequence), encoded.rows.lengths)
    assert (window_doc[encoded.rows.states.window] == row_doc).all()


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_odd_texts_keep_every_word(backbone, text):
    limits = WindowLimits(20, 6)
    docs = [NLP.make_doc("before"), NLP.make_doc(text), NLP.make_doc("after it")]
    check_encoding(docs, encode_docs(docs, backbone, limits, with_word_shapes=True), limits)


@settings(max_examples=60)
@given(texts=st.lists(st.text(max_size=80), max_size=4), window=st.integers(4, 24))
def test_any_text_keeps_every_word(tiny_folder, texts, window):
    limits = WindowLimits(window, min(3, window - 3))
    docs = [NLP.make_doc(text) for text in texts]
    encoded = encode_docs(docs, get_backbone(BackboneSource(str(tiny_folder))), limits, with_word_shapes=False)
    check_encoding(docs, encoded, limits)


def test_tokens_stand_on_their_own_pieces(tiny):
    doc = Doc(NLP.vocab, words=["Peter", "didn't", "office", "\u200b", "EU"])
    pieces = piece_docs([doc], tiny.tokenizer, with_word_shapes=True)
    strings = tiny.tokenizer.convert_ids_to_tokens(pieces.ids)
    by_token = [strings[a : b + 1] for a, b in zip(pieces.first, pieces.last, strict=True)]
    assert by_token[0] == ["peter"]
    assert "".join(by_token[1]).replace("##", "") == "didn't"
    assert by_token[2] == ["office"]
    assert by_token[3] == ["office"]  # no piece of its own, but no space either: stands on the one before
    assert by_token[4] == ["e", "##u"]
    assert [pieces.word_shape[a] for a in pieces.first] == [TITLE, LOWER, LOWER, LOWER, UPPER]


def test_doc_without_pieces_stands_on_the_special_piece(tiny):
    docs = [NLP.make_doc("peter"), Doc(NLP.vocab, words=["\x00", " \n", "\u200b"])]
    pieces = piece_docs(docs[1:], tiny.tokenizer, with_word_shapes=True)
    assert len(pieces.ids) == 0
    assert set(pieces.first) == {NO_PIECE}
    assert pieces.pieces_per_token.tolist() == [1, 0, 1]
    encoded = encode_docs(docs, tiny, WindowLimits(20, 0), with_word_shapes=True)
    assert encoded.rows.states.window.tolist() == [0, 1, 1]
    assert set(encoded.rows.states.column[1:]) == {0}


@pytest.mark.parametrize("family", ["bert", "xlm-roberta", "roberta", "albert"])
@pytest.mark.parametrize("space", ["\n", "\t", "  ", "\u00a0", "\r\n", " \n\n "])
def test_words_have_the_same_shape_whatever_space_is_between_them(tmp_path_factory, family, space):
    """Some tokenizers join a space to the next word; its piece then begins in the space."""
    tokenizer = build_tokenizer(family)
    for words in (["Peter", space, "McLaren", "EU"], [space, "Peter", "McLaren", space, space, "EU", space]):
        doc = Doc(NLP.vocab, words=words, spaces=[False] * len(words))
        pieces = piece_docs([doc, doc], tokenizer, with_word_shapes=True)
        n_pieces = pieces.pieces_per_token
        assert ((n_pieces == 0) == [not word.strip() for word in words * 2]).all()
        classes = [pieces.word_shape[a] for a, n in zip(pieces.last, n_pieces, strict=True) if n]
        assert classes == [TITLE, MIXED, UPPER] * 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("peter", LOWER), ("EU", UPPER), ("Peter", TITLE), ("McLaren", MIXED), ("iPhone", MIXED), ("J.", INITIAL),
        ("1,200", NUMBER), ("B2B", ALPHANUMERIC), ("--", OTHER), ("", OTHER), ("a", LOWER), ("漢字", LOWER),
    ],
)  # fmt: skip
def test_word_shapes(text, expected):
    assert word_shape_of(text) == expected
    assert NONE < expected < N_WORD_SHAPES


def cut(length, *, overlap=0, stretches=None):
    """Windows of 20 pieces over one body."""
    lengths, room, shared = (np.array([number]) for number in (length, 20, overlap))
    return cut_windows(lengths, room=room, overlap=shared, stretches=stretches)


def ranges_of(windows):
    return list(zip(windows.starts.tolist(), windows.ends.tolist(), strict=True))


def test_windows_overlap_and_each_piece_is_read_with_most_context():
    windows = cut(50, overlap=8)
    assert ranges_of(windows) == [(0, 20), (12, 32), (24, 44), (30, 50)]
    assert windows.source.tolist() == list(range(50))
    context = [
        min(piece - ranges_of(windows)[owner][0], ranges_of(windows)[owner][1] - 1 - piece)
        for piece, owner in enumerate(windows.owner)
    ]
    best = [max(min(p - a, b - 1 - p) for a, b in ranges_of(windows) if a <= p < b) for p in range(50)]
    assert context == best


def test_of_two_windows_with_equal_context_the_first_is_read():
    windows = cut(31, overlap=9)
    assert ranges_of(windows) == [(0, 20), (11, 31)]
    assert windows.owner.tolist() == [0] * 16 + [1] * 15


def test_span_getter_restricts_windows_and_others_borrow(tiny):
    doc = Doc(NLP.vocab, words=["peter"] * 10)
    windows = cut(10, stretches=[[(2, 4), (6, 9)]])
    assert ranges_of(windows) == [(2, 4), (6, 9)]
    assert windows.source.tolist() == [2, 2, 2, 3, 3, 3, 6, 7, 8, 8]
    nothing = cut(10, stretches=[[(0, 0)]])
    assert ranges_of(nothing) == [(0, 0)]
    assert set(nothing.source) == {NO_PIECE}
    limits = WindowLimits(22, 0)
    spans = {"layout": DocLayout(lambda docs: [[d[2:4], d[6:6], d[6:9]] for d in docs])}
    check_encoding([doc, doc], encode_docs([doc, doc], tiny, limits, with_word_shapes=False, **spans), limits)


def test_batches_stay_in_budget_and_lose_nothing():
    lengths = [5, 30, 3, 8, 8, 100, 1]
    groups = group_with_little_padding(lengths, 24)
    assert sorted(index for group in groups for index in group) == list(range(7))
    assert all(len(g) == 1 or max(lengths[i] for i in g) * len(g) <= 24 for g in groups)
    assert group_with_little_padding([], 24) == []
    assert group_with_little_padding([4, 4, 5, 4], 16, [2, 2, 1, 0]) == [[0, 1], [2]]


def test_a_long_window_does_not_pad_all_others_in_training(tiny):
    docs = [NLP.make_doc("mary works")] * 40 + [NLP.make_doc("peter in london " * 8)]
    encoded = encode_docs(docs, tiny, WindowLimits(64, 0), with_word_shapes=False)
    wanted = [WantedStates(encoded.rows.states.window, encoded.rows.states.column)]
    encoding = WindowEncoding(WindowOptions(batch_pieces=100_000))
    for is_train in (True, False):
        batches = encoding.batch(encoded.windows, wanted, tiny, is_train=is_train).batches
        assert [len(batch.ids) for batch in batches] == [40, 1]
    few = encode_docs(docs[-3:], tiny, WindowLimits(64, 0), with_word_shapes=False)
    wanted = [WantedStates(few.rows.states.window, few.rows.states.column)]
    counts = [len(encoding.batch(few.windows, wanted, tiny, is_train=is_train).batches) for is_train in (True, False)]
    assert counts == [1, 1]


@settings(max_examples=60)
@given(windows=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2)), max_size=7), per_batch=st.integers(0, 12))
def test_groups_with_little_padding_are_the_cheapest(windows, per_batch):
    """Of all ways to cut the windows, sorted by length, into groups within the budget."""
    lengths, readers = [length for length, _ in windows], [n for _, n in windows]

    def cost(groups):
        sizes = [(max(lengths[i] for i in own) * sum(readers[i] for i in own), len(own)) for own in groups]
        fits = all(padded <= 20 or n == 1 for padded, n in sizes)
        return sum(padded + per_batch for padded, _ in sizes) if fits else np.inf

    groups = group_with_little_padding(lengths, 20, readers, per_batch=per_batch)
    ordered = sorted((i for i in range(len(windows)) if readers[i]), key=lengths.__getitem__)
    assert list(chain.from_iterable(groups)) == ordered
    inner = range(1, len(ordered))
    bounds = [[0, *cuts, len(ordered)] for n in range(len(ordered)) for cuts in combinations(inner, n)]
    assert cost(groups) == min((cost([ordered[a:b] for a, b in pairwise(own)]) for own in bounds), default=0)


def test_batches_return_the_wanted_pieces_in_order(tiny):
    """For two readers: one of every Doc, one of the last two alone."""
    docs = [NLP.make_doc(text) for text in ("peter in london", "", "the office of paris and john works", "mary")]
    encoded = encode_docs(docs, tiny, WindowLimits(16, 4), with_word_shapes=True)
    late = encoded.rows.states.window >= encoded.windows_per_sequence[0]
    wanted = [
        WantedStates(encoded.rows.states.window, encoded.rows.states.column),
        WantedStates(encoded.rows.states.window[late], encoded.rows.states.column[late]),
    ]
    windows = batch_windows(encoded.windows, wanted, budget=16, pad_id=0, is_train=False, per_batch=0)
    assert len(windows.batches) > 1
    for reader, (own, order) in enumerate(zip(wanted, windows.orders, strict=True)):
        readings = [(batch, batch.readings[reader]) for batch in windows.batches]
        flat = np.concatenate([b.ids[r.rows].reshape(-1)[r.wanted].numpy() for b, r in readings])[order]
        expected = [encoded.windows.ids[w][c] for w, c in zip(own.window, own.column, strict=True)]
        assert flat.tolist() == expected
    assert [sum(len(b.readings[reader].rows) for b in windows.batches) for reader in (0, 1)] == [3, 2]
    for batch in windows.batches:
        assert ((batch.ids != 0) == batch.mask.bool()).all()
        rows = sum(len(reading.rows) for reading in batch.readings)
        assert rows * batch.ids.shape[1] <= 16 or len(batch.ids) == 1
    counts = []
    for readers in (wanted, wanted[:1]):
        batches = batch_windows(encoded.windows, readers, budget=32, pad_id=0, is_train=True, per_batch=9).batches
        counts.append([len(batch.ids) for batch in batches])
    assert counts[0] == counts[1]
    in_prediction = batch_windows(encoded.windows, wanted, budget=32, pad_id=0, is_train=False, per_batch=9).batches
    assert len(in_prediction) > len(counts[0])


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"window": 65, "overlap": 0}, "P206"),
        ({"window": 3, "overlap": 0}, "P206"),
        ({"window": 20, "overlap": 18}, "P206"),
        ({"window": 20, "overlap": -1}, "P206"),
        ({"window": 60, "overlap": 0, "shift": 10}, "P203"),
        ({"window": None, "overlap": 0, "shift": 61}, "P212"),
        ({"window": None, "overlap": 0, "shift": 200}, "P212"),
    ],
)
def test_windows_that_do_not_fit_are_refused(settings, code):
    with pytest.raises(PTuningError, match=code):
        resolve_limits(settings["window"], settings["overlap"], most=64, n_special=2, shift=settings.get("shift", 0))


def test_default_window_leaves_room_for_shifted_positions():
    assert resolve_limits(None, 4, most=64, n_special=2, shift=10).window == 54
    assert resolve_limits(None, 64, most=8192, n_special=2, shift=0).window == 512


def test_pieces_out_of_reading_order_are_still_found():
    """A normaliser may move characters, and with them the offsets of their pieces: a token then stands on more."""
    doc = Doc(NLP.vocab, words=["ab", "c", "d"], spaces=[True, False, False])

    def tokenizer(texts, **settings):
        return {"input_ids": [[7, 8, 9]], "offset_mapping": [[(3, 4), (4, 5), (0, 2)]]}

    pieces = piece_docs([doc], tokenizer, with_word_shapes=False)
    assert (pieces.first.tolist(), pieces.last.tolist()) == ([0, 0, 1], [2, 2, 2])


WORDS = ["Peter", "McLaren", "\u200b", " ", "B2B", "didn't", "3,000", "Ünï", "漢字", "office", "\x07", "-"]


@settings(max_examples=80)
@given(
    docs=st.lists(st.lists(st.sampled_from(WORDS), max_size=30), min_size=1, max_size=5),
    window=st.integers(5, 24),
    with_spans=st.booleans(),
)
def test_all_docs_at_once_as_doc_by_doc(tiny_folder, docs, window, with_spans):
    backbone = get_backbone(BackboneSource(str(tiny_folder)))
    docs = [Doc(NLP.vocab, words=words) for words in docs]
    spans = (lambda docs: [[d[1:3], d[5:9], d[8:20]] for d in docs]) if with_spans else None
    limits = WindowLimits(window, min(3, window - 3))
    encoded = encode_docs(docs, backbone, limits, with_word_shapes=True, layout=DocLayout(spans))
    ids, word_shape, per_doc, places = plain_encoding(
        docs,
        backbone.tokenizer,
        backbone.special_pieces,
        window=window,
        overlap=limits.overlap,
        get_spans=spans,
    )
    assert [own.tolist() for own in encoded.windows.ids] == ids
    assert encoded.windows.flat_word_shapes.tolist() == list(chain.from_iterable(word_shape))
    assert encoded.windows_per_sequence.tolist() == per_doc
    assert encoded.rows.lengths.tolist() == [len(own) for own in places]
    assert list(zip(encoded.rows.states.window.tolist(), encoded.rows.states.column.tolist(), strict=True)) == list(
        chain.from_iterable(places)
    )


@given(text=st.text(alphabet="aBcD1.éÉ漢 ", max_size=6))
def test_word_shape_as_letter_by_letter(text):
    assert word_shape_of(text) == plain_word_shape_of(text)
