"""Heads of span groups: each learns from the Docs of its corpus alone, in messy text, and keeps what is given."""

import pytest
import spacy
from spacy.tokens import DocBin, Span
from spacy.training import Example
from spacy.training.initialize import init_nlp

from spacy_ptv2.corpora.multi_corpus import build_multi_corpus_v1
from spacy_ptv2.errors import PTuningError
from spacy_ptv2.training.run import train

from ..tiny import FAST, save_tiny_backbone, small_ner_config

TEXTS = {
    "people": {"peter opens  the office": [(0, 1, "PER")], "mary\tworks with john": [(0, 1, "PER"), (4, 5, "PER")]},
    "places": {"the danish\noffice in london": [(1, 4, "ORG"), (5, 6, "LOC")], "works in  paris": [(3, 4, "LOC")]},
}


def docs_of(nlp, name):
    docs = []
    for text, ents in TEXTS[name].items():
        doc = nlp.make_doc(text)
        doc.ents = [Span(doc, *ent) for ent in ents]
        docs.append(doc)
    return docs


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder, nlp = tmp_path_factory.mktemp("corpora"), spacy.blank("en")
    for name in TEXTS:
        DocBin(docs=docs_of(nlp, name)).to_disk(folder / f"{name}.spacy")
    return {name: str(folder / f"{name}.spacy") for name in TEXTS}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, paths):
    folder = save_tiny_backbone(tmp_path_factory.mktemp("backbone"), "bert", deviation=0.15)
    config = small_ner_config(folder, paths["people"], {**FAST, "initialize.before_init.epochs": 150})
    head = config["components"].pop("token_classifier")
    for name in TEXTS:
        own = {"factory": "span_labeler", "spans_key": name, "model": head["model"]}
        config["components"][name] = {**own, "scorer": {"@scorers": "spacy.spancat_scorer.v1"}}
    config["nlp"]["pipeline"] = ["transformer", *TEXTS]
    for part in ("train", "dev"):
        config["corpora"][part] = {"@readers": "spacy_ptv2.MultiCorpus.v1", "paths": paths}
    config["training"]["score_weights"] = {f"spans_{name}_f": 0.5 for name in TEXTS}
    nlp, _ = train(init_nlp(config))
    return nlp


def spans_of(doc, key):
    return [(span.start, span.end, span.label_) for span in doc.spans[key]]


def test_each_head_learns_its_own_corpus(trained):
    assert trained.get_pipe("people").labels == ("PER",)
    assert trained.get_pipe("places").labels == ("LOC", "ORG")
    for name, texts in TEXTS.items():
        for doc, expected in zip(trained.pipe(texts), texts.values(), strict=True):
            assert spans_of(doc, name) == expected
            assert len(doc.spans[name].attrs["scores"]) == len(expected)
            assert not doc.ents


def test_scores_are_of_the_docs_of_the_corpus(trained, paths):
    examples = list(build_multi_corpus_v1(paths)(trained))
    assert [sorted(example.reference.spans) for example in examples] == [["people"]] * 2 + [["places"]] * 2
    scores = trained.evaluate(examples)
    assert scores["spans_people_f"] == scores["spans_places_f"] == 1.0
    assert len(list(build_multi_corpus_v1(paths, limit=1)(trained))) == 2


def test_groups_that_are_there_stay_and_entities_hide_nothing(trained):
    doc = trained.make_doc("mary\tworks with john")
    doc.spans["people"] = [doc[2:3]]
    doc.ents = [Span(doc, 4, 5, "PER")]
    done = trained(doc)
    assert spans_of(done, "people") == [(2, 3, "")]
    other = trained.make_doc("mary\tworks with john")
    other.ents = [Span(other, 4, 5, "PER")]
    assert spans_of(trained(other), "people") == TEXTS["people"]["mary\tworks with john"]


def test_saved_and_loaded(trained, tmp_path):
    trained.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    for text in TEXTS["places"]:
        assert spans_of(loaded(text), "places") == spans_of(trained(text), "places")


@pytest.mark.parametrize(
    ("spans", "code"), [([(0, 2, "PER"), (1, 3, "PER")], "P448.*overlaps"), ([(0, 1, "ORG")], "P401.*'ORG'")]
)
def test_gold_that_cannot_be_learned(trained, spans, code):
    doc = trained.make_doc("mary works with john")
    doc.spans["people"] = [Span(doc, *span) for span in spans]
    with pytest.raises(PTuningError, match=code):
        trained.update([Example(trained.make_doc(doc.text), doc)])
