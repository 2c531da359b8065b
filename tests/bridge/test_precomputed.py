"""What waits for a layer: taken once, by the very Doc it is for, and gone with it."""

import gc

from spacy.tokens import Doc
from spacy.vocab import Vocab

from spacy_ptv2.bridge import precomputed
from spacy_ptv2.bridge.precomputed import Precomputed

VOCAB = Vocab()


def doc(n_words=3):
    return Doc(VOCAB, words=["word"] * n_words)


def test_each_doc_finds_its_own_once():
    waiting, docs = Precomputed(), [doc(), doc()]
    waiting.give(docs, ["first", "second"])
    assert waiting.take(docs[::-1]) == ["second", "first"]
    assert waiting.take(docs) is None


def test_nothing_unless_it_is_there_for_all():
    waiting, known = Precomputed(), doc()
    waiting.give([known], ["value"])
    assert waiting.take([known, doc()]) is None


def test_nothing_for_a_doc_that_was_tokenised_anew():
    waiting, changed = Precomputed(), doc()
    waiting.give([changed], ["value"])
    with changed.retokenize() as retokenizer:
        retokenizer.merge(changed[:2])
    assert waiting.take([changed]) is None


def test_what_nobody_asks_for_goes_with_its_doc():
    waiting, kept = Precomputed(), doc()
    waiting.give([kept, doc()], ["kept", "lost"])
    gc.collect()
    assert (len(waiting._waiting), waiting._n_tokens) == (1, 3)
    assert waiting.take([kept]) == ["kept"]


def test_the_oldest_go_beyond_the_limit(monkeypatch):
    monkeypatch.setattr(precomputed, "MAX_WAITING_TOKENS", 8)
    waiting, docs = Precomputed(), [doc() for _ in range(3)]
    for each in docs:
        waiting.give([each], [each.text])
    assert waiting.take([docs[0]]) is None
    assert waiting.take(docs[1:]) is not None
    large = [doc(20), doc(20)]
    waiting.give(large, ["a", "b"])  # one call's own are never too many
    assert waiting.take(large) == ["a", "b"]
