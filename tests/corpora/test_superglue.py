"""MultiRC, ReCoRD and WSC in their official lines: fixtures of our own invention, and what is refused in them."""

import json

import pytest

from spacy_ptv2.corpora.spans import blank_tokenize
from spacy_ptv2.corpora.tasks import task_reader
from spacy_ptv2.errors import CorpusError

from ..conftest import DATA


def read(path, task, **settings):
    return list(task_reader(task)(path, blank_tokenize("en"), **settings))


def fixture(task):
    return read(DATA / f"{task}.jsonl", task)


def rows(task, n=2):
    lines = (DATA / f"{task}.jsonl").read_text(encoding="utf8").splitlines()
    return [json.loads(line) for line in lines[:n]]


def write(tmp_path, rows):
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf8")
    return path


def test_multirc_is_a_pair_for_each_answer():
    docs = fixture("multirc")
    assert len(docs) == 36 and len({doc.text for doc in docs}) == 10
    assert docs[0].text.startswith("Nora planted beans")
    assert [doc._.second_text for doc in docs[:2]] == ["What did Nora plant? Beans", "What did Nora plant? Peas"]
    assert [doc.cats for doc in docs[1:3]] == [{"0": 0.0, "1": 1.0}, {"0": 1.0, "1": 0.0}]
    assert docs[4]._.idx == {"paragraph": 0, "question": 1, "answer": 11}


def test_record_is_a_choice_for_each_query():
    docs = fixture("record")
    assert len(docs) == 11
    first = docs[0]
    assert first._.candidates == ["Anna Berg", "Luis Ortega", "Bergen", "Berg", "Oslo"]  # Bergen once
    assert first._.second_text[1] == "Before the clinic, Luis Ortega was employed in the capital."
    assert (first._.choice, first.cats) == ([0, 3], {})
    assert [doc._.idx for doc in docs[2:4]] == [{"passage": 2, "query": 4}, {"passage": 2, "query": 5}]
    assert docs[2].text == docs[3].text and docs[2]._.choice == [2]


def test_record_with_a_placeholder_twice(tmp_path):
    changed = rows("record", 1)
    changed[0]["qas"][0]["query"] = "@placeholder knew what @placeholder had done"
    (doc,) = read(write(tmp_path, changed), "record")
    assert doc._.second_text[0] == "Anna Berg knew what Anna Berg had done"


def test_wsc_marks_a_phrase_and_a_pronoun():
    docs = fixture("wsc")
    assert len(docs) == 10
    assert [span.text for span in docs[0].spans["marked"]] == ["The cup", "it"]
    assert docs[0].spans["marked"][1].start_char == docs[0].text.index("it was")  # not an earlier "it"
    assert docs[0]._.second_text == 'Does "it" mean "The cup"?'
    assert [span.text for span in docs[6].spans["marked"]] == ["The lawyers", "they"]  # after a bracket
    assert [span.text for span in docs[7].spans["marked"]] == ["My aunt's old radio", "it"]
    assert [doc.cats for doc in docs[:2]] == [{"False": 0.0, "True": 1.0}, {"False": 1.0, "True": 0.0}]
    assert [doc._.idx for doc in docs] == list(range(10))


@pytest.mark.parametrize(
    ("target", "marked"),
    [
        ({"span1_text": "the CUP"}, "The cup"),  # another case
        ({"span1_text": "fit  on the", "span1_index": 4}, "fit on the"),
        ({"span1_text": "tall.", "span1_index": 12}, "tall."),
    ],
)
def test_wsc_finds_phrases_by_their_first_word(target, marked, tmp_path):
    changed = rows("wsc", 1)
    changed[0]["target"] |= target
    (doc,) = read(write(tmp_path, changed), "wsc")
    assert doc.spans["marked"][0].text == marked


def change(value, keys, new):
    """Set what lies under some keys of nested objects."""
    *inner, last = keys
    for key in inner:
        value = value[key]
    value[last] = new


ANSWER = ("passage", "questions", 0, "answers", 1)
WRONG = [
    ("wsc", ("target", "span1_index"), 1, "P044", "'The cup' does not begin in word 1 of 13.*'cup did not"),
    ("wsc", ("target", "span2_index"), 13, "P044", "'it' does not begin in word 13 of 13"),
    ("wsc", ("target", "span2_index"), "9", "P044", ""),
    ("wsc", ("target", "span2_text"), "", "P041", "span2_text"),
    ("wsc", ("target",), {"span1_text": "The cup"}, "P013", "span1_index"),
    ("wsc", ("label",), None, "P013", "a row with a label"),
    ("multirc", (*ANSWER, "label"), 2, "P013", "question 0, answer 1: expected a label that is 0 or 1, got 2"),
    ("multirc", (*ANSWER, "text"), " ", "P041", "question 0, answer 1: the answer is empty"),
    ("multirc", (*ANSWER, "idx"), 0, "P045", "question 0, answer 0.*same idx"),
    ("multirc", ("passage", "questions"), 3, "P013", "MultiRC's form"),
    ("record", ("qas", 0, "query"), "Before the clinic", "P046", "query 0.*'Before the clinic'"),
    ("record", ("qas", 0, "answers", 0, "text"), "Bob", "P047", "query 0: got 'Bob' where one of the 5 candidates"),
    ("record", ("qas", 0, "answers"), [], "P047", "query 0: got no answer"),
    ("record", ("passage", "entities", 0, "end"), 999, "P013", "query 0: expected entities within"),
    ("record", ("passage", "entities"), [{"start": 0}], "P013", "query 0.*ReCoRD's form"),
    ("record", ("qas", 0), {"query": "@placeholder"}, "P013", "ReCoRD's form"),
]


@pytest.mark.parametrize(("task", "keys", "value", "code", "message"), WRONG)
def test_a_wrong_entry_is_refused_by_its_line_or_left_out(task, keys, value, code, message, tmp_path):
    changed = rows(task)
    n_entries = [len(read(write(tmp_path, [row]), task)) for row in changed]
    change(changed[0], keys, value)
    path = write(tmp_path, changed)
    with pytest.raises(CorpusError, match=rf"{code}\] .*train\.jsonl:1.*{message}"):
        read(path, task)
    with pytest.warns(UserWarning, match=rf"PW30.*1 of \d+ (rows|answers|queries) were left out.*{code}"):
        docs = read(path, task, lenient=True)
    is_whole_line = "'s form" in message and "query" not in message
    assert len(docs) == (n_entries[1] if is_whole_line else sum(n_entries) - 1)


@pytest.mark.parametrize("task", ["multirc", "record"])
def test_a_file_without_entries(task, tmp_path):
    changed = rows(task, 1)
    change(changed[0], *((("passage", "questions"), []) if task == "multirc" else (("qas",), [])))
    with pytest.raises(CorpusError, match="P048.*holds no (answers|queries)"):
        read(write(tmp_path, changed), task)
