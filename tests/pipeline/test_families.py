"""Every family, with its kind of tokenizer, in a spaCy pipeline: the same config but the backbone's name."""

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc

from spacy_ptv2.alignment.pieces import piece_docs

from ..injection.oracles import ORACLES
from ..tiny import build_pipeline, save_tiny_backbone, train

TEXTS = [
    "Acme opens Danish office in New York .",
    "",
    "   ",
    "John",
    " ".join(["Peter Hansen works in a garden , and John wrote a long letter ."] * 8),  # several windows
    "naïve 你好 🙂 \u200b e\u0301",
]


@pytest.fixture(scope="module", params=sorted(ORACLES))
def trained(request, tmp_path_factory, corpus):
    folder = save_tiny_backbone(tmp_path_factory.mktemp("family") / request.param, request.param, deviation=0.15)
    nlp = build_pipeline(folder, corpus, prompt={"length": [4, 2, 4]})
    losses = train(nlp, corpus, steps=40)
    return nlp, [loss["token_classifier"] for loss in losses]


def test_learns(trained):
    _, losses = trained
    assert losses[-1] < losses[0] * 2 / 3


def test_any_text_batched_or_alone(trained):
    nlp, _ = trained
    for text, doc in zip(TEXTS, nlp.pipe(TEXTS, batch_size=10), strict=True):
        assert doc.tensor.shape == (len(doc), 32)
        np.testing.assert_allclose(doc.tensor, nlp(text).tensor, atol=1e-4)


def test_pieces_stand_where_their_words_are(trained):
    """Characters of the pieces of each token, by the tokenizer's own offsets: within the token, nothing left out."""
    nlp, _ = trained
    tokenizer = nlp.get_pipe("ptuning_transformer").model.layers[0].shims[0].backbone.tokenizer
    words = ["Danish", "office", "Hansen", "(", "letter", ")", "opens"]
    doc = Doc(nlp.vocab, words=words, spaces=[True, True, True, False, False, False, False])
    pieces = piece_docs([doc], tokenizer, with_word_shapes=False)
    for first, last, word in zip(pieces.first, pieces.last, words, strict=True):
        text = tokenizer.decode(pieces.ids[first : last + 1]).replace(" ", "")
        assert text.lower() in (word.lower(), "<unk>" * text.count("<unk>")), (text, word)


def test_round_trip(trained, tmp_path):
    nlp, _ = trained
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    for text in TEXTS:
        np.testing.assert_array_equal(loaded(text).tensor, nlp(text).tensor)
