"""Each fault that a test puts into a corpus is found there, by its kind and place, and nothing else is."""

import json
from typing import get_args

import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_ptv2.annotations.answers import gold_answer
from spacy_ptv2.annotations.roles import set_roles
from spacy_ptv2.corpora.findings import FINDINGS, Kind
from spacy_ptv2.corpora.report import RARE, compare, describe, read_docs
from spacy_ptv2.errors import CorpusError

nlp = spacy.blank("en")


def doc_of(text, *entities, make=nlp.make_doc):
    """A Doc of our tokenizer with entities, given as text and label."""
    doc = make(text)
    doc.set_ents([])
    for part, label in entities:
        start = text.index(part)
        span = doc.char_span(start, start + len(part), label=label)
        doc.set_ents([*doc.ents, span])
    return doc


def in_words(*words, entities=(), **settings):
    """A Doc of given tokens and entities, each after a single space."""
    spaces = [True] * (len(words) - 1) + [False]
    doc = Doc(nlp.vocab, words=words, spaces=spaces, **settings)
    doc.set_ents([Span(doc, start, end, label=label) for start, end, label in entities])
    return doc


def findings(*docs):
    return {kind: [tuple(finding) for finding in found] for kind, found in describe("x", docs, nlp).findings.items()}


GOOD = doc_of("Peter Hansen works in London.", ("Peter Hansen", "PER"), ("London", "LOC"))


def test_counts():
    other = in_words(
        "Mary", "sings", ".", "She", "left", entities=[(0, 1, "PER")], sent_starts=[True, False, False, True, False]
    )
    report = describe("train", [GOOD, other, doc_of("Nobody came.")], nlp)
    assert (report.docs, report.annotated_docs["entities"], report.lengths) == (3, 2, [6, 5, 3])
    assert (report.labels, report.entity_lengths) == ({"entities": {"PER": 2, "LOC": 1}}, {1: 2, 2: 1})
    assert report.sentences == 2
    assert describe("train", [GOOD], nlp).sentences is None
    assert not report.findings


def test_rare_labels():
    docs = [doc_of(f"Mary saw {number}.", ("Mary", "PER"), (str(number), "NUM")) for number in range(RARE - 1)]
    assert describe("x", docs, nlp).rare_labels("entities") == {"PER": RARE - 1, "NUM": RARE - 1}
    docs.append(doc_of("Mary left.", ("Mary", "PER")))
    assert describe("x", docs, nlp).rare_labels("entities") == {"NUM": RARE - 1}


def test_nothing_in_a_good_corpus():
    pretokenised = Doc(nlp.vocab, words=["U.S.-based", "Acme"], ents=["O", "B-ORG"])
    assert findings(GOOD, doc_of("Nobody came."), pretokenised) == {}


def test_misaligned_entities_are_those_that_training_skips():
    doc = Doc(nlp.vocab, words=["Ask", "Mary", "s", "in", "U.", "K."], spaces=[True, False, True, True, False, False])
    doc.set_ents([Span(doc, 1, 2, label="PER"), Span(doc, 4, 5, label="LOC")])
    assert findings(GOOD, doc) == {"misaligned": [(1, "Mary: Marys"), (1, "U.: U.K.")]}
    assert Example(nlp.make_doc(doc.text), doc).get_aligned_ner() == ["O", None, "O", None]


def test_words_that_are_given_are_tokens_of_training():
    doc = Doc(nlp.vocab, words=["U.", "K."], ents=["B-LOC", "O"])
    assert doc.has_unknown_spaces
    assert findings(doc) == {}


@pytest.mark.parametrize(("first", "last"), [("\n", "Mary"), ("Mary", " "), ("Mary", "\t"), ("\u00a0Mary", "Ann")])
def test_white_space_at_an_edge(first, last):
    doc = in_words("see", first, last, "now", entities=[(1, 3, "PER")])
    assert findings(GOOD, doc) == {"whitespace_edge": [(1, f"{first} {last}")]}


def test_nothing_but_white_space():
    doc = nlp.make_doc("Mary\n left")
    doc.set_ents([Span(doc, 1, 2, label="PER")])
    assert findings(GOOD, doc) == {"whitespace_edge": [(1, "\n ")]}


@pytest.mark.parametrize("text", ["Mary\nAnn", "Mary  Ann", "Mary\tAnn", "Mary \u00a0Ann", "Mary\r\nAnn"])
def test_white_space_inside(text):
    assert findings(GOOD, doc_of(f"I saw {text} today", (text, "PER"))) == {"whitespace_inside": [(1, text)]}


def test_entities_across_sentences():
    sent_starts = [True, False, True, False]
    doc = in_words("Mary", "Ann", "Lee", "left", entities=[(1, 3, "PER")], sent_starts=sent_starts)
    assert findings(doc) == {"across_sentences": [(0, "Ann Lee")]}
    assert not findings(in_words("Mary", "Ann", "Lee", "left", entities=[(2, 3, "PER")], sent_starts=sent_starts))


def test_documents_without_text_or_annotation():
    docs = [GOOD, nlp.make_doc(""), nlp.make_doc(" \n"), nlp.make_doc("Mary left")]
    assert findings(*docs) == {"empty": [(1, ""), (2, " \n")], "unannotated": [(3, "Mary left")]}


def test_tokens_without_annotation():
    doc = nlp.make_doc("Mary left Rome")
    doc.set_ents([Span(doc, 2, 3, label="LOC")], missing=[doc[0:1]], default="outside")
    assert findings(GOOD, doc) == {"partly_annotated": [(1, "Mary")]}


def test_texts_that_come_again():
    spaced = doc_of("Peter Hansen  works\nin London.", ("Peter Hansen", "PER"), ("London", "LOC"))
    other = doc_of(GOOD.text, ("Peter Hansen", "PER"), ("London", "ORG"))
    nothing = [doc_of("Nobody came."), doc_of("Nobody came.")]
    joined = "Peter Hansen works in London."
    assert findings(GOOD, spaced, other, *nothing) == {
        "duplicate": [(1, joined), (4, "Nobody came.")],
        "contradiction": [(2, joined)],
    }


def test_evaluation_beside_training():
    train = describe("train", [GOOD, doc_of("Nobody came."), doc_of("Acme grew.", ("Acme", "ORG"))], nlp)
    dev = [doc_of("Nobody  came."), doc_of("Titanic in London", ("Titanic", "SHIP"), ("London", "LOC"))]
    comparison = compare(train, describe("dev", dev, nlp))
    assert comparison.unseen == {"entities": {"SHIP": 1}}
    assert comparison.unused == {"entities": {"ORG": 1, "PER": 1}}
    assert comparison.shared == [(0, "Nobody came.")]
    assert (comparison.n_contradictions, comparison.same_text) == (0, [])


def test_what_both_have_may_contradict_or_be_asked_something_else():
    def asked(text, question, **cats):
        doc = nlp.make_doc(text)
        doc._.second_text, doc.cats = question, cats
        return doc

    train = describe(
        "train", [asked("Rome is old.", "Is it?", yes=1.0, no=0.0), asked("Oslo.", "Is it?", yes=1.0)], nlp
    )
    test = describe("test", [asked("Rome is  old.", "Is it?", yes=0.0, no=1.0), asked("Oslo.", "Why?", yes=1.0)], nlp)
    comparison = compare(train, test)
    assert (comparison.shared, comparison.n_contradictions) == ([(0, "Rome is old.")], 1)
    assert comparison.same_text == [(1, "Oslo.")]
    assert (comparison.unseen, comparison.unused) == ({"classes": {"no": 1}}, {})


def classified(text, **cats):
    doc = nlp.make_doc(text)
    doc.cats = cats
    return doc


def test_corpora_of_other_tasks_are_counted_and_not_called_unannotated():
    docs = [classified("Good.", good=1.0, bad=0.0), classified("Bad.", good=0.0, bad=1.0)]
    docs[0]._.questions, docs[0]._.answers = ["What?", "Who?"], [[gold_answer("Good", 0)], []]
    docs[0]._.choice = [0, 1]
    docs[0]._.second_text = ["a", "b"]
    docs[1].spans["predicates"] = [Span(docs[1], 0, 1, "bad.01")]
    set_roles(docs[1], [[(0, 1, "A0"), (1, 2, "A1")]])
    docs[1].spans["sc"] = [Span(docs[1], 0, 1, "THING"), Span(docs[1], 0, 2, "THING")]
    report = describe("x", docs, nlp)
    assert report.labels == {
        "classes": {"good": 1, "bad": 1},
        "questions": {"answered": 1, "unanswerable": 1},
        "choices": {"0": 1, "1": 1},
        "roles": {"A0": 1, "A1": 1},
        "spans in sc": {"THING": 2},
    }
    assert not report.findings


def test_tags_and_trees_are_counted():
    tagged = Doc(nlp.vocab, words=["Mary", "left"], tags=["NNP", "VBD"], heads=[1, 1], deps=["nsubj", "ROOT"])
    report = describe("x", [tagged], nlp)
    assert (report.tags, report.heads, report.findings) == (2, 2, {})


def answering(question, start):
    doc = nlp.make_doc("Kim was born in Oslo.")
    doc._.questions, doc._.answers = [question], [[gold_answer("Oslo", start)]]
    return doc


def choosing(text, choice):
    doc = nlp.make_doc(text)
    doc._.second_text, doc._.choice = ["So they left.", "So they sang."], choice
    return doc


def with_role(text, predicate_number):
    doc = nlp.make_doc(text)
    doc.spans["predicates"] = [Span(doc, 1, 2)]
    doc.spans["roles"] = [Span(doc, 0, 1, "A0", span_id=predicate_number)]
    return doc


YES = classified("Yes.", yes=1.0, no=0.0)
# A corpus for each kind of finding, with one fault of that kind and no other, and where and what it is.
PLANTED = {
    "empty": ([GOOD, nlp.make_doc("")], (1, "")),
    "unannotated": ([GOOD, nlp.make_doc("Mary left")], (1, "Mary left")),
    "partly_annotated": ([GOOD, Doc(nlp.vocab, words=["Mary", "left"], ents=["", "O"])], (1, "Mary")),
    "misaligned": (
        [GOOD, Doc(nlp.vocab, words=["U.", "K."], spaces=[False] * 2, ents=["B-LOC", "O"])],
        (1, "U.: U.K."),
    ),
    "whitespace_edge": ([GOOD, in_words("Mary", "\n", "left", entities=[(0, 2, "PER")])], (1, "Mary \n")),
    "whitespace_inside": ([GOOD, in_words("Mary", "\t", "Ann", entities=[(0, 3, "PER")])], (1, "Mary \t Ann")),
    "across_sentences": (
        [GOOD, in_words("Mary", "Ann", entities=[(0, 2, "PER")], sent_starts=[True, True])],
        (1, "Mary Ann"),
    ),
    "unclassified": ([YES, classified("Perhaps.", yes=0.0, no=0.0)], (1, "Perhaps.")),
    "several_classes": ([YES, classified("Both.", yes=1.0, no=1.0)], (1, "yes, no: Both.")),
    "impossible_choice": ([choosing("It snowed.", 1), choosing("It rained.", 2)], (1, "2 of 2: It rained.")),
    "misplaced_answer": ([answering("Where?", 16), answering("In which city?", 15)], (1, "Oslo:  Osl")),
    "role_of_nothing": ([with_role("Kim sang.", "0"), with_role("Kim left.", "1")], (1, "A0: Kim")),
    "duplicate": ([YES, YES], (1, "Yes.")),
    "contradiction": ([YES, classified("Yes.", yes=0.0, no=1.0)], (1, "Yes.")),
}


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_of_finding_is_found_where_it_was_planted(kind):
    docs, place = PLANTED[kind]
    found = findings(*docs)
    assert found == {kind: [place]}
    assert set(FINDINGS) == set(PLANTED)


def test_reading(train_file, corpus, tmp_path):
    texts = [doc.text for doc in read_docs(corpus, nlp)]
    assert len(texts) == 3
    assert [doc.text for doc in read_docs(train_file, nlp)] == texts
    for name in ("a", "b"):
        (tmp_path / f"{name}.spacy").write_bytes(corpus.read_bytes())
    assert [doc.text for doc in read_docs(tmp_path, nlp)] == texts * 2


def test_whatever_is_converted_is_reported_on(tmp_path):
    """Raw texts are cut by the tokenizer; what it cuts through is told, not refused."""
    line = {
        "text": "Mary left\nPariswards",
        "spans": [{"start": 0, "end": 4, "label": "PER"}, {"start": 10, "end": 15, "label": "LOC"}],
    }
    path = tmp_path / "prodigy.jsonl"
    path.write_text(json.dumps(line) + "\n", encoding="utf8")
    with pytest.warns(UserWarning, match="PW23.*1 of 2"):
        (doc,) = read_docs(path, nlp)
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("Mary", "PER"), ("Pariswards", "LOC")]


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: b"", lambda data: b"Mary B-PER\n"])
def test_damaged_files_are_refused_by_name(corpus, tmp_path, damage):
    (tmp_path / "damaged.spacy").write_bytes(damage(corpus.read_bytes()))
    with pytest.raises(CorpusError, match="P430.*damaged.spacy"):
        read_docs(tmp_path / "damaged.spacy", nlp)


def test_missing_files(tmp_path):
    with pytest.raises(CorpusError, match="P430.*FileNotFoundError"):
        read_docs(tmp_path / "none.spacy", nlp)
    with pytest.raises(CorpusError, match="P020"):
        read_docs(tmp_path, nlp)
