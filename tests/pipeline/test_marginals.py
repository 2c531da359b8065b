"""The probability of an entity among valid sequences, against a sum over all of them."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_ptv2.pipeline.marginals import STRETCH, Transitions, chain_states, entity_marginals
from spacy_ptv2.pipeline.tag_schemes import SCHEMES, TagScheme

LABELS = ("LOC", "PER")
LONGEST = 4


def valid_sequences(scheme, n_tokens):
    """All of them. Shape: (n_sequences, n_tokens)"""
    sequences = np.array([*product(range(len(scheme.tags)), repeat=n_tokens)], dtype=int)
    return sequences[[scheme.is_valid(sequence) for sequence in sequences]]


SEQUENCES = {(name, n): valid_sequences(TagScheme(name, LABELS), n) for name in SCHEMES for n in range(LONGEST + 1)}


def enumerated(scheme, scores):
    """The share of each entity that any valid sequence of one document has, by (start, end, label)."""
    sequences = SEQUENCES[scheme.scheme, len(scores)]
    logs = scores[np.arange(len(scores)), sequences].sum(axis=1)
    shares = {}
    for sequence, share in zip(sequences, np.exp(logs - np.logaddexp.reduce(logs)), strict=True):
        for entity in scheme.entities(sequence):
            shares[entity] = shares.get(entity, 0.0) + share
    return shares


@st.composite
def documents(draw):
    """Scores of some short documents; tokens at which only some tags are possible, at times a single one."""
    name = draw(st.sampled_from(SCHEMES))
    scheme = TagScheme(name, LABELS)
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    lengths = draw(st.lists(st.integers(0, LONGEST), min_size=1, max_size=4))
    scores = [
        random.normal(size=(n, len(scheme.tags))) * draw(st.sampled_from([0.5, 3.0, 30.0, 900.0])) for n in lengths
    ]
    for rows in scores:
        if len(rows) and draw(st.booleans()):
            kept = SEQUENCES[name, len(rows)]
            path = kept[draw(st.integers(0, len(kept) - 1))]  # stays possible
            forbidden = random.random(rows.shape) < draw(st.sampled_from([0.3, 0.9, 1.0]))
            forbidden[np.arange(len(rows)), path] = False
            rows[forbidden] = -np.inf
    return scheme, scores


@settings(max_examples=80)
@given(documents())
def test_as_enumeration_of_all_valid_sequences(case):
    scheme, scores = case
    entities, expected, offset = [], [], 0
    for rows in scores:
        for (start, end, label), share in enumerated(scheme, rows).items():
            entities.append((start + offset, end + offset, label))
            expected.append(share)
        offset += len(rows)
    order = np.random.default_rng(0).permutation(len(entities))  # entities may overlap, and come in any order
    entities, expected = [entities[i] for i in order], np.array(expected)[order]
    lengths = [len(rows) for rows in scores]
    found = entity_marginals(scheme, np.concatenate(scores), entities, lengths)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    for shift, rows in zip(np.cumsum([0, *lengths]), scores, strict=False):
        own = [
            (start - shift, end - shift, label) for start, end, label in entities if shift <= start < shift + len(rows)
        ]
        alone = entity_marginals(scheme, rows, own)
        together = [p for p, (start, *_) in zip(found, entities, strict=True) if shift <= start < shift + len(rows)]
        np.testing.assert_allclose(alone, together, atol=1e-12)


def pass_by_pass(scores, transitions, outside):
    """The states and what each row added, from row to row without stretches."""
    state, states, growth = np.full((1, scores.shape[1]), -np.inf), [], []
    state[0, outside] = 0.0
    for row in scores:
        state = transitions.sums(state) + row
        growth.append(np.logaddexp.reduce(state, axis=1))
        state = state - growth[-1]
        states.append(state[0])
    return np.array(states), np.concatenate(growth)


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("n_rows", [1, STRETCH, STRETCH + 1, 10 * STRETCH + 5])
@pytest.mark.parametrize("bias", [0.0, 5.0])
def test_stretches_are_those_of_one_pass_to_the_last_bit(name, n_rows, bias):
    scheme = TagScheme(name, ("LOC", "PER", "ORG"))
    scores = np.random.default_rng(n_rows).normal(size=(n_rows, len(scheme.tags)))
    scores[:, scheme.tag_ids["I-LOC"]] += bias  # what is far away then matters through many stretches
    for transitions in (Transitions(scheme.allowed), Transitions(scheme.allowed.T)):
        found = chain_states(scores, transitions, 0)
        for got, expected in zip(found, pass_by_pass(scores, transitions, 0), strict=True):
            assert (got == expected).all()


def test_what_a_far_token_forces():
    """An entity of 200 tokens is certain, or impossible, by what its ends allow."""
    scheme = TagScheme("biluo", ("X",))
    inside, n = scheme.tag_ids["I-X"], 200
    scores = np.full((n, 5), -5.0)
    scores[1:-1] = -np.inf
    scores[1:-1, inside] = 0.0
    assert entity_marginals(scheme, scores, [(0, n, "X"), (0, n - 1, "X")]).tolist() == [1.0, 0.0]
    scores[-1] = [0.0, -np.inf, -np.inf, -np.inf, -np.inf]  # it cannot end
    assert entity_marginals(scheme, scores, [(0, n, "X")]).tolist() == [0.0]


def test_a_document_without_a_valid_sequence_leaves_the_others_alone():
    scheme = TagScheme("iob2", ("X",))
    scores = np.log(np.array([[0.2, 0.7, 0.1]] * 4))
    alone = entity_marginals(scheme, scores[:2], [(0, 2, "X")])
    for impossible in (-np.inf, np.nan):
        scores[2] = impossible
        found = entity_marginals(scheme, scores, [(0, 2, "X"), (2, 3, "X"), (2, 4, "X")], [2, 2])
        assert found.tolist() == [*alone, 0.0, 0.0]


def test_one_token_by_hand():
    """I cannot stand alone, so the others share what it had."""
    scheme = TagScheme("iob2", ("X",))
    scores = np.log(np.array([[0.3, 0.5, 0.2]]))
    assert entity_marginals(scheme, scores, [(0, 1, "X")]).tolist() == pytest.approx([0.5 / 0.8])
    assert len(entity_marginals(scheme, scores, [])) == 0
