"""Frames live in two span groups: they survive saving, and read as AllenNLP gives them."""

import spacy
from spacy import displacy
from spacy.tokens import Doc, DocBin, Span

from spacy_ptv2.annotations.roles import frames_of, set_roles, to_allennlp

NLP = spacy.blank("en")


def make_doc():
    doc = Doc(NLP.vocab, words="Kim said that Lee reads old books , loudly".split())
    doc.spans["predicates"] = [Span(doc, 1, 2, label="say"), Span(doc, 4, 5, label="read")]
    set_roles(doc, [[(0, 1, "A0"), (2, 9, "A1")], [(8, 9, "C-A2"), (3, 4, "A0"), (5, 7, "A1")]])
    return doc


def plain(doc):
    return [
        (frame.predicate.text, frame.predicate.label_, [(role.text, role.label_) for role in frame.roles])
        for frame in doc._.frames
    ]


EXPECTED = [
    ("said", "say", [("Kim", "A0"), ("that Lee reads old books , loudly", "A1")]),
    ("reads", "read", [("Lee", "A0"), ("old books", "A1"), ("loudly", "C-A2")]),
]


def test_each_predicate_has_its_roles_in_the_order_of_the_text():
    assert plain(make_doc()) == EXPECTED
    assert [frame.scores for frame in make_doc()._.frames] == [(), ()]


def test_they_survive_saving():
    (doc,) = DocBin().from_bytes(DocBin(docs=[make_doc()]).to_bytes()).get_docs(spacy.blank("en").vocab)
    assert plain(doc) == EXPECTED


def test_roles_of_a_predicate_that_is_gone_belong_to_no_frame():
    doc = make_doc()
    doc.spans["predicates"] = list(doc.spans["predicates"])[:1]
    assert plain(doc) == EXPECTED[:1]


def test_scores_follow_their_roles():
    doc = make_doc()
    set_roles(doc, [[(2, 9, "A1"), (0, 1, "A0")], []], [[0.5, 0.75], []])
    assert [frame.scores for frame in frames_of(doc)] == [(0.75, 0.5), ()]


def test_docs_without_frames():
    assert Doc(NLP.vocab)._.frames == []
    assert to_allennlp(NLP.make_doc("no verbs")) == {"words": ["no", "verbs"], "verbs": []}


def test_the_form_of_allennlp():
    assert to_allennlp(make_doc()) == {
        "words": ["Kim", "said", "that", "Lee", "reads", "old", "books", ",", "loudly"],
        "verbs": [
            {
                "verb": "said",
                "description": "[A0: Kim] [V: said] [A1: that Lee reads old books , loudly]",
                "tags": ["B-A0", "B-V", "B-A1", "I-A1", "I-A1", "I-A1", "I-A1", "I-A1", "I-A1"],
            },
            {
                "verb": "reads",
                "description": "Kim said that [A0: Lee] [V: reads] [A1: old books] , [C-A2: loudly]",
                "tags": ["O", "O", "O", "B-A0", "B-V", "B-A1", "I-A1", "O", "B-C-A2"],
            },
        ],
    }


def test_displacy_draws_the_group():
    html = displacy.render(make_doc(), style="span", options={"spans_key": "roles"}, jupyter=False)
    assert html.count("A0") >= 2
