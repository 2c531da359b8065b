"""What a task is asked is copied from the gold Doc to the one that is predicted, whatever its tokens are."""

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span

from spacy_ptv2.annotations.answers import answers_of
from spacy_ptv2.annotations.given import copy_words, give
from spacy_ptv2.annotations.names import GIVEN, add_extension, texts_of
from spacy_ptv2.annotations.sizes import build_input_length_v1
from spacy_ptv2.corpora.given_corpus import build_corpus_v1
from spacy_ptv2.errors import PTuningError

NLP = spacy.blank("en")


@pytest.fixture
def gold():
    doc = NLP.make_doc("Kim can't  read.\nLee reads.")
    for attribute in ("questions", "second_text", "answers"):
        add_extension(attribute)
    doc._.questions = ["Who?", "What?"]
    doc._.answers = [[], []]
    doc.spans["predicates"] = [Span(doc, 4, 5, label="read"), Span(doc, 8, 9)]
    doc.spans["roles"] = [doc[:1]]
    for token in doc:
        token.is_sent_start = token.i in (0, 7)
    return doc


def test_what_is_asked_comes_along_and_what_is_predicted_does_not(gold):
    target = NLP.make_doc(gold.text)
    give(gold, target, GIVEN)
    assert target._.questions == ["Who?", "What?"] and target._.second_text is None and target._.answers is None
    assert [(span.text, span.label_) for span in target.spans["predicates"]] == [("read", "read"), ("reads", "")]
    assert "roles" not in target.spans
    give(gold, target, ["doc.sents"])
    assert [sentence.text for sentence in target.sents] == ["Kim can't  read.\n", "Lee reads."]


def test_spans_are_found_again_among_other_tokens(gold):
    words = ["Kim", "can't read.", "Lee", "reads."]
    target = Doc(NLP.vocab, words=["Kim", "can't", " ", "read.", "\n", "Lee", "reads."], spaces=[1, 1, 0, 0, 0, 1, 0])
    assert target.text == gold.text and len(words) < len(gold)
    give(gold, target, ["doc.spans.predicates"])
    assert [span.text for span in target.spans["predicates"]] == ["read.", "reads."]


def test_another_name_is_refused(gold):
    with pytest.raises(PTuningError, match=r"P440.*'questions'"):
        give(gold, NLP.make_doc(gold.text), ["questions"])


def test_a_copy_has_words_and_sentences_alone(gold):
    copy = copy_words(gold)
    assert copy.text == gold.text and [t.text for t in copy] == [t.text for t in gold]
    assert len(list(copy.sents)) == 2 and not copy.spans and copy._.questions is None


def test_the_reader_asks_what_the_file_asks(gold, tmp_path):
    DocBin(docs=[gold, NLP.make_doc("plain")], store_user_data=True).to_disk(tmp_path / "gold.spacy")
    (first, second) = build_corpus_v1(tmp_path / "gold.spacy")(NLP)
    assert texts_of(first.predicted, "questions") == ["Who?", "What?"] and answers_of(first.reference) == [[], []]
    assert len(first.predicted.spans["predicates"]) == 2 and second.predicted._.questions is None
    (first,) = build_corpus_v1(tmp_path / "gold.spacy", given=["doc._.questions"], limit=1)(NLP)
    assert not first.predicted.spans
    with pytest.raises(ValueError, match="E913"):
        list(build_corpus_v1(None)(NLP))


def test_a_doc_counts_as_often_as_it_is_read(gold, tmp_path):
    DocBin(docs=[gold, NLP.make_doc("plain text")], store_user_data=True).to_disk(tmp_path / "gold.spacy")
    length = build_input_length_v1()
    assert [length(example) for example in build_corpus_v1(tmp_path / "gold.spacy")(NLP)] == [2 * len(gold), 2]
