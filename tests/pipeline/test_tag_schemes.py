"""Tags, transitions and decoding, against exhaustive search."""

from itertools import product

import numpy as np
import pytest

from spacy_ptv2.errors import PTuningError
from spacy_ptv2.pipeline.tag_schemes import TagScheme

IOB2 = TagScheme("iob2", ("LOC", "PER"))
BILUO = TagScheme("biluo", ("LOC", "PER"))


def test_tags():
    assert IOB2.tags == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    assert BILUO.tags[:5] == ("O", "B-LOC", "I-LOC", "L-LOC", "U-LOC")


@pytest.mark.parametrize(
    ("tags", "valid"),
    [
        ("O O", True), ("B-LOC I-LOC", True), ("B-LOC B-LOC", True), ("B-LOC I-PER", False), ("I-LOC O", False),
        ("O I-LOC", False), ("B-LOC O", True), ("I-LOC I-LOC", False),
    ],
)  # fmt: skip
def test_valid_iob2(tags, valid):
    assert IOB2.is_valid(np.array([IOB2.tag_ids[tag] for tag in tags.split()])) is valid


@pytest.mark.parametrize(
    ("tags", "valid"),
    [
        ("O O", True), ("B-LOC L-LOC", True), ("B-LOC I-LOC", False), ("B-LOC O", False), ("U-LOC U-PER", True),
        ("B-LOC L-PER", False), ("O B-LOC", False), ("L-LOC O", False), ("B-LOC I-LOC L-LOC", True),
    ],
)  # fmt: skip
def test_valid_biluo(tags, valid):
    assert BILUO.is_valid(np.array([BILUO.tag_ids[tag] for tag in tags.split()])) is valid


@pytest.mark.parametrize("scheme", [IOB2, TagScheme("biluo", ("X",))])
def test_decoding_finds_the_best_valid_sequence(scheme):
    random = np.random.default_rng(0)
    for n_tokens in (1, 2, 3, 4):
        sequences = [np.array(s) for s in product(range(len(scheme.tags)), repeat=n_tokens)]
        valid = [s for s in sequences if scheme.is_valid(s)]
        for _ in range(25):
            scores = random.normal(size=(n_tokens, len(scheme.tags)))
            best = max(valid, key=lambda s: scores[np.arange(n_tokens), s].sum())
            assert scheme.decode(scores).tolist() == best.tolist()


def viterbi(scheme, scores):
    """The whole of one document, token by token."""
    forbidden = np.where(scheme.allowed, 0.0, -np.inf)
    outside = scheme.tag_ids["O"]
    best, came_from = scores[0] + forbidden[outside], []
    for row in scores[1:]:
        paths = best[:, None] + forbidden
        came_from.append(paths.argmax(axis=0))
        best = paths.max(axis=0) + row
    tags = [int((best + forbidden[:, outside]).argmax())]
    for step in reversed(came_from):
        tags.append(int(step[tags[-1]]))
    return tags[::-1]


@pytest.mark.parametrize("scheme", [IOB2, BILUO])
@pytest.mark.parametrize("outside", [0.0, 2.0, 4.0])  # the more, the rarer faults, and the more stretches
def test_documents_at_once_as_one_by_one_in_whole(scheme, outside):
    random = np.random.default_rng(2)
    for _ in range(20):
        lengths = random.integers(0, 60, size=6)
        scores = random.normal(size=(lengths.sum(), len(scheme.tags))).astype("f") * random.choice([0.5, 3.0])
        scores[:, 0] += outside
        decoded = np.split(scheme.decode(scores, lengths), np.cumsum(lengths)[:-1])
        rows = np.split(scores, np.cumsum(lengths)[:-1])
        assert [d.tolist() for d in decoded] == [viterbi(scheme, r) if len(r) else [] for r in rows]


def test_a_fault_may_reach_far():
    """What one token decides changes the other end of a long entity."""
    scheme = TagScheme("biluo", ("X",))
    scores = np.full((200, 5), -5.0)
    scores[:, scheme.tag_ids["I-X"]] = 0.0
    scores[0, scheme.tag_ids["B-X"]] = 1.0
    assert [scheme.tags[tag] for tag in scheme.decode(scores)] == ["B-X", *["I-X"] * 198, "L-X"]
    scores[0, scheme.tag_ids["B-X"]] = scores[0, scheme.tag_ids["I-X"]] = -2000.0
    assert scheme.decode(scores).tolist() == viterbi(scheme, scores)


def test_scores_that_are_no_numbers_end_as_well():
    assert len(IOB2.decode(np.full((30, len(IOB2.tags)), np.nan))) == 30


def test_nothing_invalid_comes_out():
    random = np.random.default_rng(1)
    for scheme in (IOB2, BILUO):
        for _ in range(200):
            scores = random.normal(size=(random.integers(1, 30), len(scheme.tags))) * 5
            assert scheme.is_valid(scheme.decode(scores))


def test_entities():
    ids = [BILUO.tag_ids[tag] for tag in "U-PER B-LOC I-LOC L-LOC O U-LOC".split()]
    assert BILUO.entities(np.array(ids)) == [(0, 1, "PER"), (1, 4, "LOC"), (5, 6, "LOC")]
    ids = [IOB2.tag_ids[tag] for tag in "B-PER B-PER I-PER O B-LOC".split()]
    assert IOB2.entities(np.array(ids)) == [(0, 1, "PER"), (1, 3, "PER"), (4, 5, "LOC")]
    assert IOB2.entities(np.zeros(3, dtype=np.int64)) == []


def test_encoding_of_gold_tags():
    gold = ["U-PER", "B-LOC", "I-LOC", "L-LOC", "O", "-", None]
    assert [None if i is None else IOB2.tags[i] for i in IOB2.encode(gold)] == [
        "B-PER", "B-LOC", "I-LOC", "I-LOC", "O", None, None
    ]  # fmt: skip
    assert [None if i is None else BILUO.tags[i] for i in BILUO.encode(gold)][:5] == gold[:5]
    with pytest.raises(KeyError, match="ORG"):
        IOB2.encode(["U-ORG"])


def test_unknown_scheme_is_refused():
    with pytest.raises(PTuningError, match="P403.*iob2 or biluo.*'bio'"):
        TagScheme("bio", ())
