"""Real text is messy: spaces inside entities and around them, entities that are there before, blocked tokens."""

import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.training import Corpus, Example
from spacy.util import fix_random_seed
from thinc.api import Adam

from spacy_ptv2.pipeline.entities import find_free_tokens
from spacy_ptv2.pipeline.tag_schemes import TagScheme

from ..tiny import build_pipeline, save_tiny_backbone

SPACES = ["\n", "\t", "  ", "\u00a0", "\r\n", "\n\n \t", "\u2028", "\u3000"]
TEXT = "John works in New York. Peter Hansen works in New York."
NAMES = ["John", "New York", "Peter Hansen", "New York"]


@pytest.fixture(scope="module")
def trained(tiny_folder, corpus):
    """A pipeline that knows the entities of the text above; no test changes it."""
    nlp = build_pipeline(tiny_folder, corpus)
    reference = nlp.make_doc(TEXT)
    places = [TEXT.index(name) for name in NAMES[:3]] + [TEXT.rindex(NAMES[3])]
    labels = ["PER", "LOC", "PER", "LOC"]
    spans = zip(places, NAMES, labels, strict=True)
    reference.ents = [reference.char_span(at, at + len(name), label) for at, name, label in spans]
    examples = [*Corpus(corpus)(nlp), Example(nlp.make_doc(TEXT), reference)]
    optimizer = Adam(0.01, use_averages=False)
    fix_random_seed(0)
    for _ in range(80):
        nlp.update(examples, sgd=optimizer)
    return nlp


def found(doc):
    return [(" ".join(token.text for token in ent if not token.is_space), ent.label_) for ent in doc.ents]


@pytest.fixture(scope="module")
def plain(trained):
    """The entities of the text as it is usually written."""
    entities = found(trained(TEXT))
    assert [name for name, _ in entities] == NAMES
    return entities


@pytest.mark.parametrize("space", SPACES)
def test_spaces_change_no_entity(trained, plain, space):
    between = TEXT
    for name in NAMES:
        between = between.replace(name, name.replace(" ", space))
    everywhere = space + TEXT.replace(" ", space) + space
    for doc in trained.pipe([between, everywhere]):
        assert found(doc) == plain
        assert all(not ent[0].is_space and not ent[-1].is_space for ent in doc.ents)
        assert any(token.is_space for ent in doc.ents for token in ent)
        assert [(s.start, s.end, s.label) for s in doc.spans["ents"]] == [(e.start, e.end, e.label) for e in doc.ents]


@pytest.mark.parametrize("family", ["xlm-roberta", "roberta", "gpt2", "deberta-v2"])
def test_spaces_hold_no_entity_in_any_family(tmp_path, corpus, family):
    """Where spaces are pieces of their own, or part of the next word's, they still take no tag."""
    nlp = build_pipeline(save_tiny_backbone(tmp_path / family, family), corpus)
    doc = nlp("\n Peter\n\nHansen \t works \r\n")
    assert all(not ent[0].is_space and not ent[-1].is_space for ent in doc.ents)
    assert (doc.tensor == 1.0).all(axis=1).tolist() == [token.is_space for token in doc]


def test_text_of_spaces_alone(trained):
    for text in (" ", "\n\t ", "\u00a0"):
        doc = trained(text)
        assert not doc.ents
        assert not doc.spans["ents"]
        assert doc.tensor.shape == (len(doc), 32)


def spaced_example(nlp, words, entities, space):
    """Return an example with a space after every word, and gold spans that take in the last one."""
    parts = [part for word in words for part in ((word, space) if space else (word,))]
    n = 2 if space else 1
    reference = Doc(nlp.vocab, words=parts, spaces=[not space] * len(parts))
    reference.ents = [Span(reference, n * start, n * end, label) for start, end, label in entities]
    return Example(Doc(nlp.vocab, words=parts, spaces=[not space] * len(parts)), reference)


@pytest.mark.parametrize("scheme", ["iob2", "biluo"])
def test_training_on_spaced_text_is_training_on_plain_text(tiny_folder, corpus, scheme):
    """Gold spans with spaces inside, and at their edges, mean what they mean without."""
    sentences = [
        (["New", "York", "opens", "Acme"], [(0, 2, "LOC"), (3, 4, "ORG")]),
        (["Peter", "works", "in", "London"], [(0, 1, "PER"), (3, 4, "LOC")]),
    ]
    losses = {}
    prompt = {"length": 4, "dropout": 0.0}
    for space in ("", "\n"):
        nlp = build_pipeline(tiny_folder, corpus, backbone_dropout=False, prompt=prompt)
        nlp.remove_pipe("token_classifier")
        nlp.add_pipe("token_classifier", config={"scheme": scheme})
        examples = [spaced_example(nlp, words, entities, space) for words, entities in sentences]
        fix_random_seed(0)
        nlp.initialize(lambda examples=examples: examples)
        optimizer = Adam(0.01, use_averages=False)
        losses[space] = [nlp.update(examples, sgd=optimizer)["token_classifier"] for _ in range(40)]
    assert losses["\n"][0] == pytest.approx(losses[""][0], rel=1e-5)
    assert losses["\n"][-1] < 0.05


def test_tags_of_words():
    tags = ["B-A", "I-A", "L-A", "O", "B-B", "L-B", "B-A", "L-A", None, "U-A"]
    is_space = [True, False, True, True, False, False, True, True, False, True]
    scheme = TagScheme("biluo", ("A", "B"))
    expected = [None, "U-A", None, None, "B-B", "L-B", None, None, None, None]
    ids = [None if tag is None else scheme.tag_ids[tag] for tag in expected]
    assert scheme.encode_words(tags, is_space) == ids
    assert scheme.encode_words(tags, [False] * len(tags)) == scheme.encode(tags)


def test_the_tagger_of_spacy_learns_spaces_over_our_vectors(tiny_folder, corpus):
    nlp = build_pipeline(tiny_folder, corpus)
    nlp.remove_pipe("token_classifier")
    listener = {"@architectures": "spacy_ptv2.PTuningListener.v1"}
    nlp.add_pipe("tagger", config={"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": listener}})
    words = ["Peter", "\n", "works", "  ", "in", "\n", "London", "\n"]
    tags = ["NNP", "_SP", "VBZ", "_SP", "IN", "_SP", "NNP", "_SP"]
    reference = Doc(nlp.vocab, words=words, tags=tags, spaces=[False] * len(words))
    examples = [Example(Doc(nlp.vocab, words=words, spaces=[False] * len(words)), reference)]
    fix_random_seed(0)
    nlp.initialize(lambda: examples)
    optimizer = Adam(0.01, use_averages=False)
    losses = [nlp.update(examples, sgd=optimizer)["tagger"] for _ in range(80)]
    assert losses[-1] < 0.1
    (doc,) = nlp.pipe([Doc(nlp.vocab, words=words, spaces=[False] * len(words))])
    assert [token.tag_ for token in doc] == tags


def test_what_is_set_is_kept(trained):
    """By an entity ruler, by the caller, by another recogniser; with its ids."""
    doc = trained.make_doc(TEXT)
    product = Span(doc, 3, 4, "PRODUCT", kb_id="Q1", span_id="new")  # half of "New York"
    doc.set_ents([product], default="missing")
    doc = trained(doc)
    (ent,) = [ent for ent in doc.ents if ent.label_ == "PRODUCT"]
    assert (ent.text, ent.kb_id_, ent.ent_id_) == ("New", "Q1", "new")
    others = [ent for ent in doc.ents if ent.label_ != "PRODUCT"]
    assert {ent.text for ent in others} >= {"John", "Peter Hansen", "New York"}
    assert all(not ent.kb_id and not ent.ent_id for ent in others)
    assert [token.ent_iob_ for token in doc[:3]] == ["B", "O", "O"]
    # what has no confidence is not in the group
    assert [span.label_ for span in doc.spans["ents"]] == [ent.label_ for ent in others]
    assert len(doc.spans["ents"].attrs["scores"]) == len(others)


def test_entity_ruler_before_and_annotating_twice(trained, plain):
    nlp = spacy.util.load_model_from_config(trained.config)
    nlp.from_bytes(trained.to_bytes())
    ruler = nlp.add_pipe("entity_ruler", first=True)
    ruler.add_patterns([{"label": "GPE", "pattern": "York", "id": "york"}])
    doc = nlp(TEXT)
    assert [(ent.text, ent.ent_id_) for ent in doc.ents if ent.label_ == "GPE"] == [("York", "york")] * 2
    assert ("Peter Hansen", "PER") in found(doc)
    again = trained(trained(TEXT))
    assert found(again) == plain
    assert len(again.spans["ents"].attrs["scores"]) == len(plain)


def test_overwrite_replaces_and_clears_ids(tiny_folder, corpus, trained, plain):
    doc = trained.make_doc(TEXT)
    doc.set_ents([Span(doc, 0, 4, "PRODUCT", kb_id="Q1", span_id="new")])
    head = trained.get_pipe("token_classifier")
    head.overwrite = True
    try:
        doc = trained(doc)
    finally:
        head.overwrite = False
    assert found(doc) == plain
    assert not any(token.ent_id or token.ent_kb_id for token in doc)


def test_overwrite_is_a_setting_of_the_factory(trained, tmp_path):
    trained.to_disk(tmp_path)
    nlp = spacy.load(tmp_path, config={"components": {"token_classifier": {"overwrite": True}}})
    assert nlp.get_pipe("token_classifier").overwrite
    assert not spacy.load(tmp_path).get_pipe("token_classifier").overwrite


@pytest.mark.parametrize("overwrite", [False, True])
def test_blocked_tokens_stay_without_entity(trained, overwrite):
    doc = trained.make_doc(TEXT)
    place = [token.text for token in doc].index("York")
    doc.set_ents([], blocked=[doc[place : place + 1]], default="missing")
    trained.get_pipe("token_classifier").overwrite = overwrite
    doc = trained(doc)
    trained.get_pipe("token_classifier").overwrite = False
    assert all(not ent.start <= place < ent.end for ent in doc.ents)
    assert "Peter Hansen" in {ent.text for ent in doc.ents}
    assert (doc[place].ent_iob, doc[place].ent_type) == (3, 0)


@pytest.fixture
def eager(trained):
    """The pipeline with an outside bias that makes an entity, or a part of one, of every free word."""
    head = trained.get_pipe("token_classifier")
    head.cfg["outside_bias"] = 1000.0
    yield trained
    head.cfg["outside_bias"] = 0.0


@pytest.mark.parametrize("space", SPACES)
def test_an_outside_bias_finds_nothing_in_spaces(eager, space):
    doc = eager(space + TEXT.replace(" ", space) + space)
    for token in doc:
        assert bool(token.ent_type) or token.is_space
    assert all(not ent[0].is_space and not ent[-1].is_space for ent in doc.ents)


def test_an_outside_bias_changes_nothing_that_was_set(eager):
    doc = eager.make_doc(TEXT)
    blocked = [token.text for token in doc].index("York")
    kept = Span(doc, 0, 2, "PRODUCT", kb_id="Q1", span_id="new")
    doc.set_ents([kept], blocked=[doc[blocked : blocked + 1]], default="missing")
    doc = eager(doc)
    first = doc.ents[0]
    assert (first.text, first.label_, first.kb_id_, first.ent_id_) == ("John works", "PRODUCT", "Q1", "new")
    assert [token.i for token in doc if not token.ent_type] == [blocked]


def test_two_recognisers_share_a_span_group(trained, plain):
    """The second decodes around the first; each confidence stays with its entity."""
    doc = trained.make_doc(TEXT)
    trained.get_pipe("token_classifier").set_annotations([doc], [[(0, 1, "PER", 0.5)]])
    doc = trained(doc)
    group = doc.spans["ents"]
    assert [span.start for span in group] == sorted(ent.start for ent in doc.ents)
    scores = dict(zip([span.text for span in group], group.attrs["scores"], strict=True))
    assert scores["John"] == 0.5
    assert len(group) == len(plain)


def test_free_tokens_lie_between_what_is_taken():
    nlp = spacy.blank("en")
    docs = [Doc(nlp.vocab, words=list("abc")), Doc(nlp.vocab), Doc(nlp.vocab, words=["a", "\n", "b", "c", "d", "\n"])]
    docs[2].set_ents([Span(docs[2], 3, 4, "X")], default="missing")
    free = find_free_tokens(docs, overwrite=False)
    assert free.rows.tolist() == [0, 1, 2, 3, 5, 7]
    assert free.lengths == [3, 2, 1]
    assert free.in_docs([(0, 2, "X"), (3, 5, "Y")], [0.5, 0.25]) == [[(0, 2, "X", 0.5)], [], [(0, 3, "Y", 0.25)]]
    assert find_free_tokens(docs, overwrite=True).lengths == [3, 4]
    assert find_free_tokens([Doc(nlp.vocab)], overwrite=False).lengths == [0]
    assert find_free_tokens([], overwrite=False).in_docs([], []) == []
