"""Columns of semantic roles: CoNLL-2005 and CoNLL-2012, and sentences whose brackets do not close."""

import pytest
from spacy.vocab import Vocab

from spacy_ptv2.corpora.props import read_props
from spacy_ptv2.errors import CorpusError

PROPS = """Kim    -     (A0*)   *
said   say   (V*)    *
that   -     (A1*    *
Lee    -     *       (A0*)
reads  read  *       (V*)
books  -     *       (A1*
a      -     *       *
lot    -     *)      *)
.      -     *       *

No     -
verb   -

gave   give  (V*)
it     -     (A1*)
all    -     (C-A1*)
up     -     (C-V*)
"""
CONLL_2012 = """#begin document (x); part 000
x 0 0 Kim NNP (TOP(S* - - - - (PERSON) (ARG0*) * -
x 0 1 tries VBZ * try 01 - - * (V*) * -
x 0 2 to TO * - - - - * (ARG1* * -
x 0 3 read VB * read 01 - - * * (V*) -
x 0 4 books NNS *)) book - - - * *) (ARG1*) -

#end document
"""


def write(tmp_path, text):
    path = tmp_path / "train.props"
    path.write_text(text, encoding="utf8")
    return path


def plain(doc):
    return [
        (frame.predicate.text, frame.predicate.label_, [(role.text, role.label_) for role in frame.roles])
        for frame in doc._.frames
    ]


def test_conll_2005(tmp_path):
    first, second, third = read_props(write(tmp_path, PROPS), Vocab())
    assert plain(first) == [
        ("said", "say", [("Kim", "A0"), ("that Lee reads books a lot", "A1")]),
        ("reads", "read", [("Lee", "A0"), ("books a lot", "A1")]),
    ]
    assert plain(second) == [] and len(second) == 2
    assert plain(third) == [("gave", "give", [("it", "A1"), ("all", "C-A1"), ("up", "C-V")])]
    assert [doc.has_annotation("SENT_START") for doc in (first, second)] == [True, True]


def test_columns_between_the_word_and_the_lemma(tmp_path):
    text = "Kim NNP B-PER - (A0*)\nreads VBZ O read (V*)\nbooks NNS O - (A1*)\n"
    (doc,) = read_props(write(tmp_path, text), Vocab())
    assert plain(doc) == [("reads", "read", [("Kim", "A0"), ("books", "A1")])]


def test_the_lemma_of_a_predicate_of_several_words(tmp_path):
    text = "two - (V*)\n- - *\ntiming twotime (C-V*)\nher - (A1*)\n\nU - (V*\n- - *\nD update *)\n"
    docs = read_props(write(tmp_path, text), Vocab())
    assert [plain(doc)[0][:2] for doc in docs] == [("two", "twotime"), ("U - D", "update")]


def test_nested_brackets_of_one_column(tmp_path):
    text = "a - (A1(A2*)\nb - *)\nc see (V*)\n"
    (doc,) = read_props(write(tmp_path, text), Vocab())
    assert plain(doc) == [("c", "see", [("a", "A2"), ("a b", "A1")])]


def test_conll_2012(tmp_path):
    (doc,) = read_props(write(tmp_path, CONLL_2012), Vocab())
    assert plain(doc) == [
        ("tries", "try", [("Kim", "ARG0"), ("to read books", "ARG1")]),
        ("read", "read", [("books", "ARG1")]),
    ]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("books  -     *       (A1*", "books  -     *       (A1"), r"P035.*props:6.*'\(A1'"),
        (("lot    -     *)      *)", "lot    -     *)      *"), r"P035.*props:6.*'\(A1\*'"),
        (("books  -     *       (A1*", "books  -     *       *"), r"P035.*props:8.*'\*\)'"),
        (("reads  read  *       (V*)", "reads  read  *       *"), "P036.*props:1.*column of roles 2 marks 0"),
        (("books  -     *       (A1*", "books  -     *"), "P001.*props:6: expected"),
        (("Lee    -     *", "Lee    lee   *"), "P037.*props:1.*names 3 predicates"),
    ],
)
def test_a_wrong_sentence_is_refused_by_its_line_or_left_out(change, code, tmp_path):
    path = write(tmp_path, PROPS.replace(*change))
    with pytest.raises(CorpusError, match=code):
        list(read_props(path, Vocab()))
    with pytest.warns(UserWarning, match=rf"PW30.*1 of 3 sentences were left out.*{code[:4]}"):
        assert len(list(read_props(path, Vocab(), lenient=True))) == 2


def test_a_file_without_sentences(tmp_path):
    with pytest.raises(CorpusError, match="P004"):
        list(read_props(write(tmp_path, "\n\n"), Vocab()))
