"""CoNLL files as they are found in the wild, and what is said about broken ones."""

import warnings

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from spacy.training import Example

from spacy_ptv2.corpora.conll import CorpusCounts, Sentence, count_corpus, read_conll, to_docs
from spacy_ptv2.corpora.readers import build_conll_corpus_v1
from spacy_ptv2.errors import CorpusError

from ..conftest import WIKIGOLD
from ..tiny import TRAIN_CONLL

SENTENCES = [
    Sentence(("Acme", "opens", "Danish", "office"), ("NNP", "VBZ", "JJ", "NN"), ((0, 1, "ORG"), (2, 3, "MISC"))),
    Sentence(("Peter", "Hansen"), ("NNP", "NNP"), ((0, 2, "PER"),)),
    Sentence(
        ("John", "works", "in", "New", "York", "."),
        ("NNP", "VBZ", "IN", "NNP", "NNP", "."),
        ((0, 1, "PER"), (3, 5, "LOC")),
    ),
]


def write(folder, text, encoding="utf8"):
    path = folder / "corpus.txt"
    path.write_bytes(text.encode(encoding))
    return path


def sentences(path):
    return [sentence for document in read_conll(path) for sentence in document.sentences]


VARIANTS = {
    "as it is": TRAIN_CONLL,
    "tabs": TRAIN_CONLL.replace(" ", "\t"),
    "CRLF": TRAIN_CONLL.replace("\n", "\r\n"),
    "byte-order mark": "\ufeff" + TRAIN_CONLL,
    "several empty lines": TRAIN_CONLL.replace("\n\n", "\n\n \n\t\n"),
    "no newline at the end": TRAIN_CONLL.rstrip("\n"),
    "trailing spaces": TRAIN_CONLL.replace("\n", "  \n"),
    "several spaces": TRAIN_CONLL.replace(" ", "   "),
    "IOB1": TRAIN_CONLL.replace(" B-ORG", " I-ORG").replace(" B-MISC", " I-MISC").replace(" B-PER", " I-PER").replace(
        " B-LOC", " I-LOC"
    ),
    "DOCSTART without empty lines": TRAIN_CONLL.replace("-DOCSTART- -X- -X- O\n\n", "-DOCSTART- -X- -X- O\n"),
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_of_one_file_read_the_same(tmp_path, variant):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        documents = read_conll(write(tmp_path, VARIANTS[variant]))
    assert [len(document.sentences) for document in documents] == [2, 1]
    assert [sentence for document in documents for sentence in document.sentences] == SENTENCES


def test_two_columns_have_no_part_of_speech(tmp_path):
    text = "\n".join(f"{line.split()[0]} {line.split()[-1]}" if line else "" for line in TRAIN_CONLL.splitlines())
    found = sentences(write(tmp_path, text))
    assert [sentence.words for sentence in found] == [sentence.words for sentence in SENTENCES]
    assert [sentence.entities for sentence in found] == [sentence.entities for sentence in SENTENCES]
    assert all(sentence.tags == () for sentence in found)


def test_without_docstart_every_sentence_is_a_document(tmp_path):
    documents = read_conll(write(tmp_path, TRAIN_CONLL.replace("-DOCSTART- -X- -X- O\n\n", "")))
    assert [len(document.sentences) for document in documents] == [1, 1, 1]


def test_docstart_behind_its_document(tmp_path):
    (first, second) = read_conll(write(tmp_path, "A O\n\n-DOCSTART- O\n\nB O\n\n-DOCSTART- O\n"))
    assert [first.sentences[0].words, second.sentences[0].words] == [("A",), ("B",)]


def test_touching_entities(tmp_path):
    iob1 = "A I-PER\nB B-PER\nC I-LOC\nD I-LOC\n"
    iob2 = "A B-PER\nB B-PER\nC B-LOC\nD I-LOC\n"
    expected = ((0, 1, "PER"), (1, 2, "PER"), (2, 4, "LOC"))
    assert sentences(write(tmp_path, iob1))[0].entities == expected
    assert sentences(write(tmp_path, iob2))[0].entities == expected


@given(st.lists(st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]), min_size=1, max_size=12))
def test_any_tag_sequence_is_read_as_seqeval_reads_it(tmp_path_factory, tags):
    path = write(tmp_path_factory.mktemp("conll"), "".join(f"w {tag}\n" for tag in tags))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (sentence,) = sentences(path)
    assert list(sentence.entities) == [(start, end + 1, label) for label, start, end in get_entities(tags)]


def test_mixed_schemes_are_warned_of_with_both_lines(tmp_path):
    path = write(tmp_path, "A B-PER\nB O\nC I-LOC\n")
    with pytest.warns(UserWarning, match=r"PW01.*corpus.txt.*IOB2.*corpus.txt:1.*IOB1.*corpus.txt:3"):
        assert sentences(path)[0].entities == ((0, 1, "PER"), (2, 3, "LOC"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A NN B-NP O\nB NN O\n", r"P001.*corpus.txt:2: expected 4 columns.*got 3: 'B NN O'"),
        ("A O\n\nB\n", r"P003.*corpus.txt:3: expected at least two columns.*got 'B'"),
        ("A O\nB PER\n", r"P002.*corpus.txt:2.*'PER'.*--scheme"),
        ("A B-PER\nB I-PER\n\nC B-PER\nD U-PER\n", r"P002.*corpus.txt:5.*'U-PER'.*IOB2"),
        ("A O\nB B-\n", r"P002.*corpus.txt:2.*'B-'"),
        ("", r"P004.*corpus.txt contains no sentences"),
        ("\n \n\n", r"P004.*contains no sentences"),
        ("-DOCSTART- O\n\n", r"P004.*contains no sentences"),
    ],
)
def test_broken_files_are_refused_with_file_and_line(tmp_path, text, message):
    with pytest.raises(CorpusError, match=message):
        read_conll(write(tmp_path, text))


def test_other_encodings_are_refused(tmp_path):
    with pytest.raises(CorpusError, match=r"P006.*corpus.txt: not UTF-8"):
        read_conll(write(tmp_path, "Zürich B-LOC\n", encoding="latin-1"))


def test_absent_file_and_folder(tmp_path):
    for path in (tmp_path / "absent.txt", tmp_path):
        with pytest.raises(CorpusError, match="P005.*no corpus file.*(No such file|Is a directory)"):
            read_conll(path)


def test_docs_have_entities_tags_and_sentence_starts(tmp_path):
    documents = read_conll(write(tmp_path, TRAIN_CONLL))
    vocab = spacy.blank("en").vocab
    by_sentence = list(to_docs(documents, vocab, "sentence"))
    assert [doc.text for doc in by_sentence] == [
        "Acme opens Danish office ",
        "Peter Hansen ",
        "John works in New York . ",
    ]
    assert [(ent.start, ent.end, ent.label_) for ent in by_sentence[2].ents] == [(0, 1, "PER"), (3, 5, "LOC")]
    assert [token.tag_ for token in by_sentence[1]] == ["NNP", "NNP"]
    first, second = to_docs(documents, vocab, "document")
    assert [len(sentence) for sentence in first.sents] == [4, 2]
    assert [ent.text for ent in first.ents] == ["Acme", "Danish", "Peter Hansen"]
    assert len(second) == 6


def test_unknown_granularity(tmp_path):
    documents = read_conll(write(tmp_path, TRAIN_CONLL))
    with pytest.raises(CorpusError, match="P007.*'page'"):
        list(to_docs(documents, spacy.blank("en").vocab, "page"))


def test_reader_gives_unannotated_predictions_and_gold_references(train_file):
    nlp = spacy.blank("en")
    examples = list(build_conll_corpus_v1(train_file)(nlp))
    assert all(isinstance(example, Example) for example in examples)
    assert [len(example.reference.ents) for example in examples] == [2, 1, 2]
    assert not any(example.predicted.ents for example in examples)
    assert [example.predicted.text for example in examples] == [example.reference.text for example in examples]
    assert len(list(build_conll_corpus_v1(train_file, limit=2)(nlp))) == 2
    assert len(list(build_conll_corpus_v1(train_file, granularity="document")(nlp))) == 2


def test_shipped_wikigold_is_whole():
    documents = read_conll(WIKIGOLD)
    assert len(documents) == 145
    assert count_corpus(documents) == CorpusCounts(sentences=1696, tokens=39007, entities=3558)
