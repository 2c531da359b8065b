"""Running text is cut anew, through no annotation, and in the same way each time."""

import io
from itertools import accumulate

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span
from spacy.training.initialize import init_nlp
from spacy.util import resolve_dot_names

from spacy_ptv2.corpora.joined_corpus import build_joined_corpus_v1
from spacy_ptv2.errors import PTuningError
from spacy_ptv2.training.run import train

from ..tiny import small_ner_config

WORDS = [["Peter", "Hansen", "reads"], ["Mary", "\n", "sings"], ["in", "New", "York", "City"], ["again"]] * 25


@pytest.fixture
def path(tmp_path):
    """Sentences with entities, tags and spans; some with a line break between words, none ends with a space."""
    vocab = spacy.blank("en").vocab
    docs = []
    for words in WORDS:
        doc = Doc(vocab, words=words, spaces=[True] * (len(words) - 1) + [False], tags=["T"] * len(words))
        doc.ents = [Span(doc, 0, 1, "PER")] if words[0] != "in" else [Span(doc, 1, 4, "LOC")]
        doc.spans["parts"] = (
            [Span(doc, len(doc) - 2, len(doc), "VP", span_id="x")] if len(doc) > 2 and "\n" not in words else []
        )
        docs.append(doc)
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "train.spacy")
    return tmp_path / "train.spacy"


def read(path, **settings):
    return list(build_joined_corpus_v1(path, **settings)(spacy.blank("en")))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_nothing_is_lost_or_moved(path, share):
    examples = read(path, share=share, words=12)
    assert [t.text for e in examples for t in e.reference] == [word for words in WORDS for word in words]
    assert all(e.predicted.text == e.reference.text for e in examples)
    ents = [(ent.text, ent.label_) for e in examples for ent in e.reference.ents]
    assert ents == [("Peter", "PER"), ("Mary", "PER"), ("New York City", "LOC"), ("again", "PER")] * 25
    spans = [(span.text, span.label_, span.id_) for e in examples for span in e.reference.spans["parts"]]
    assert spans == [("Hansen reads", "VP", "x"), ("York City", "VP", "x")] * 25
    assert all(token.tag_ == "T" for e in examples for token in e.reference)
    assert not any(e.predicted.ents for e in examples)
    assert not any(token.is_sent_start for e in examples for token in e.predicted[1:])


def test_how_much_is_joined_and_where_it_is_cut(path):
    parts = {share: [e.reference for e in read(path, share=share, words=12)] for share in (0, 0.5, 1)}
    lengths = {share: [len(doc) for doc in docs] for share, docs in parts.items()}
    assert len(lengths[0]) == 100 and max(lengths[0]) == 4
    assert len(lengths[1]) < len(lengths[0.5]) < 100
    assert 4 < max(lengths[1]) <= 12 + 3  # an entity may be at the end
    assert len(set(lengths[1])) > 5, "of many lengths"
    firsts = [doc[0].text for doc in parts[1]]
    assert set(firsts) & {"Hansen", "\n", "sings", "reads", "New"}, "some begin inside a sentence"
    assert not set(firsts) & {"York", "City"}, "and none inside an entity"


def test_the_same_is_drawn_each_time(path):
    reader = build_joined_corpus_v1(path, words=12)
    nlp = spacy.blank("en")
    first, second = ([e.reference.text for e in reader(nlp)] for _ in range(2))
    assert first == second
    assert first != [e.reference.text for e in read(path, words=12, seed=1)]


def test_each_pass_is_cut_elsewhere(path):
    """All of the text in each; the first pass is what one alone would be."""
    n_tokens = sum(map(len, WORDS))
    ends = list(accumulate(len(e.reference) for e in read(path, words=12, passes=3)))
    assert ends[-1] == 3 * n_tokens
    cuts = [{end - n * n_tokens for end in ends if n * n_tokens < end <= (n + 1) * n_tokens} for n in range(3)]
    assert cuts[0] == set(accumulate(len(e.reference) for e in read(path, words=12)))
    assert all(n_tokens in own for own in cuts)
    assert len(set(map(frozenset, cuts))) == 3


def test_trees_and_other_tokens(tmp_path):
    """A tree is not cut, nor is a word of the pipeline's tokenizer, which has other words here than the corpus."""
    vocab = spacy.blank("en").vocab
    tree = Doc(
        vocab, words=["I", "do", "n't", "sing"], spaces=[True, False, True, False], heads=[3, 3, 3, 3], deps=["d"] * 4
    )
    flat = Doc(
        vocab, words=["a", "b", "c", "d"], spaces=[True, False, False, True], heads=[0, 1, 2, 3], deps=["ROOT"] * 4
    )
    DocBin(docs=[tree, flat] * 20).to_disk(tmp_path / "trees.spacy")
    examples = read(tmp_path / "trees.spacy", share=1.0, words=3)
    firsts = {e.reference[0].text for e in examples}
    assert "b" in firsts and not firsts & {"c", "d"}, "which are inside 'bcd'"
    for example in examples:
        assert example.predicted.text == example.reference.text
        heads = [token.head.text for token in example.reference if token.text in ("I", "do", "n't")]
        assert set(heads) <= {"sing"}


def test_messy_text(tmp_path):
    """Whitespace at every place, Docs without words or without a word on entities, and words that hold whitespace."""
    nlp = spacy.blank("en")
    texts = [
        "Peter  Hansen reads \n",
        "\tMary\nAnn sings\n\n",
        "New\t\tYork  City",
        " again ",
        "  ",
        "Dr. O'Neil's U.K.",
    ]
    docs = [nlp.make_doc(text) for text in texts]
    for doc in docs[:3]:
        doc.ents = [Span(doc, 1 if doc[0].is_space else 0, 3, "X")]
    docs += [Doc(nlp.vocab, words=["a\n", "b", "c\n"], spaces=[True, True, False]), Doc(nlp.vocab)]
    docs[6].set_ents([], default="missing")
    DocBin(docs=docs * 6).to_disk(tmp_path / "messy.spacy")
    examples = read(tmp_path / "messy.spacy", share=1.0, words=8)
    assert [e.predicted.text for e in examples] == [e.reference.text for e in examples]
    assert [t.text for e in examples for t in e.reference] == [t.text for doc in docs * 6 for t in doc]
    assert [e.text for x in examples for e in x.reference.ents] == [e.text for doc in docs * 6 for e in doc.ents]
    assert sum(token.ent_iob == 0 for e in examples for token in e.reference) == 6 * sum(
        token.ent_iob == 0 for doc in docs for token in doc
    )


def test_a_pipeline_trains_on_it(tiny_folder, corpus, tmp_path):
    config = small_ner_config(tiny_folder, corpus, {})
    config["corpora"]["train"] = {
        "@readers": "spacy_ptv2.JoinedCorpus.v1",
        "path": str(corpus),
        "share": 1.0,
        "words": 20,
    }
    nlp, _ = train(init_nlp(config), stdout=io.StringIO())
    (reader,) = resolve_dot_names(nlp.config.interpolate(), ["corpora.train"])
    sentences = build_joined_corpus_v1(corpus, share=0.0)(nlp)
    assert max(len(e.reference) for e in reader(nlp)) > max(len(e.reference) for e in sentences)
    assert nlp("Peter works in London.").spans["ents"].attrs.keys() == {"scores"}


@pytest.mark.parametrize("wrong", [{"share": 1.5}, {"share": -0.1}, {"words": 1}, {"passes": 0}])
def test_what_cannot_be_is_refused(path, wrong):
    with pytest.raises(PTuningError, match="P057"):
        read(path, **wrong)
