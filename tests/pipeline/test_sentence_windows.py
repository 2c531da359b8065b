"""Windows within sentences: what a component before the transformer found decides what the backbone reads together."""

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc
from thinc.api import fix_random_seed

from spacy_ptv2.alignment.layouts import sentence_spans
from spacy_ptv2.serving import AdapterBank

from ..tiny import SMALL, option_blocks
from .test_shared_backbone import examples_of

SENTENCES = [
    "Peter opens the Danish office in London.",
    "Mary  works\nin Paris!",
    "Nobody\twrites a letter to the office of John, Mary and Peter in London today.",
    "Rain.",
]
TEXT = " ".join(SENTENCES)
NLP = spacy.blank("en")


def build(folder, *, within=True, components=("sentencizer",)):
    nlp = spacy.blank("en")
    for name in components:
        nlp.add_pipe(name)
    layout = {"@misc": "spacy_ptv2.DocLayout.v1"}
    if within:
        layout["get_spans"] = {"@misc": "spacy_ptv2.sentence_spans.v1"}
    model = {
        "@architectures": "spacy_ptv2.SequenceEncoder.v1",
        "backbone": {"@misc": "spacy_ptv2.Backbone.v1", "name": str(folder)},
        "layout": layout,
        **option_blocks(**{**SMALL, "window": 12, "overlap": 4}),
    }
    nlp.add_pipe("ptuning_transformer", config={"model": model})
    nlp.add_pipe("token_classifier")
    fix_random_seed(0)
    nlp.initialize(lambda: examples_of(nlp))
    output = nlp.get_pipe("token_classifier").model.get_ref("output_layer")
    output.set_param("W", np.random.RandomState(0).normal(size=output.get_param("W").shape).astype("f"))
    return nlp


def joined(parts):
    return np.concatenate([doc.tensor for doc in parts])


def test_sentences_of_docs_or_all_of_those_without():
    doc, empty = NLP(TEXT), NLP("")
    assert [[(s.start, s.end) for s in spans] for spans in sentence_spans([doc, empty])] == [[(0, len(doc))], [(0, 0)]]
    for token in doc:
        token.is_sent_start = token.i in (0, 8)
    assert [(s.start, s.end) for s in sentence_spans([doc])[0]] == [(0, 8), (8, len(doc))]


@pytest.mark.parametrize("name", ["shared_backbone", None])
def test_a_document_is_read_as_its_sentences_alone(tiny_folder, name):
    """Also if `shared_backbone`, which reads ahead, stands before the component that finds the sentences."""
    nlp = build(tiny_folder, components=[*([name] if name else []), "sentencizer"])
    first, empty, second = nlp.pipe([TEXT, "", SENTENCES[1]])
    assert empty.tensor.shape == (0, first.tensor.shape[1])
    assert len(list(first.sents)) == len(SENTENCES)
    parts = list(nlp.pipe(sentence.as_doc() for sentence in first.sents))
    np.testing.assert_allclose(first.tensor, joined(parts), atol=1e-5)
    np.testing.assert_allclose(second.tensor, first[len(parts[0]) : len(parts[0]) + len(parts[1])].tensor, atol=1e-5)
    entities = [(ent.text, ent.label_) for part in parts for ent in part.ents]
    assert [(ent.text, ent.label_) for ent in first.ents] == entities != []


def test_without_sentences_it_is_as_if_documents_were_cut(tiny_folder):
    within, plain = (build(tiny_folder, within=within, components=()) for within in (True, False))
    np.testing.assert_allclose(within(TEXT).tensor, plain(TEXT).tensor, atol=1e-5)
    cut = build(tiny_folder)(TEXT).tensor
    assert np.abs(cut - plain(TEXT).tensor).max() > 1e-3  # else the test shows nothing


def test_sentences_that_the_user_has_set_count(tiny_folder):
    nlp = build(tiny_folder, components=())
    words = ["Peter", "opens", "Mary", "works"]
    apart = nlp(Doc(nlp.vocab, words=words, sent_starts=[True, False, True, False]))
    alone = [nlp(Doc(nlp.vocab, words=words[:2])), nlp(Doc(nlp.vocab, words=words[2:]))]
    np.testing.assert_allclose(apart.tensor, joined(alone), atol=1e-5)
    together = nlp(Doc(nlp.vocab, words=words))
    assert np.abs(apart.tensor - together.tensor).max() > 1e-3


def test_saved_and_in_a_bank_it_is_the_same(tiny_folder, tmp_path):
    nlp, plain = build(tiny_folder), build(tiny_folder, within=False, components=())
    nlp.to_disk(tmp_path / "within")
    expected = nlp(TEXT)
    assert expected.spans["ents"].attrs["scores"] == pytest.approx(
        spacy.load(tmp_path / "within")(TEXT).spans["ents"].attrs["scores"], abs=1e-6
    )
    bank = AdapterBank(str(tiny_folder))
    bank.load("within", tmp_path / "within")
    bank.load("plain", plain)
    for task, doc in (("within", expected), ("plain", plain(TEXT))):
        found, *_ = bank.pipe([(TEXT, task), ("Mary works in Paris.", "plain"), ("", "within")])
        assert [(e.text, e.label_) for e in found.ents] == [(e.text, e.label_) for e in doc.ents]
        np.testing.assert_allclose(found.spans["ents"].attrs["scores"], doc.spans["ents"].attrs["scores"], atol=1e-5)
