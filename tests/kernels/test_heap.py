"""Memory is given back now and then in prediction, and where the C library cannot, nothing happens."""

import pytest

from spacy_ptv2.kernels import heap


@pytest.fixture
def calls(monkeypatch):
    """What was asked of the C library, by a clock of our own."""
    made = []
    monkeypatch.setattr(heap, "_find_trim", lambda: made.append)
    monkeypatch.setattr(heap, "_last", 0.0)
    return made


def at(monkeypatch, seconds):
    monkeypatch.setattr(heap.time, "monotonic", lambda: seconds)


def test_now_and_then(calls, monkeypatch):
    for seconds in (0.0, heap.SECONDS / 2, heap.SECONDS, 1.5 * heap.SECONDS, 3 * heap.SECONDS):
        at(monkeypatch, seconds)
        heap.give_back()
    assert calls == [0, 0]


def test_prediction_does_and_training_does_not(nlp, corpus, calls, monkeypatch):
    from ..tiny import train

    at(monkeypatch, 10 * heap.SECONDS)
    train(nlp, corpus, steps=1)
    assert calls == []
    nlp("Peter works in London")
    assert calls == [0]


def test_libraries_without_it(monkeypatch):
    monkeypatch.setattr(heap, "_find_trim", lambda: None)
    heap.give_back()
