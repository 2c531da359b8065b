"""Entities in texts of several languages, some of them without spaces, trained and found at their exact offsets."""

import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed
from thinc.api import Adam

from ..tiny import SMALL, option_blocks

# Texts with their entities, as it is running text.
SENTENCES = {
    "de": [("Über die Straße\nnach Köln-Mülheim  schrieb Käthe.", ["Köln-Mülheim", "Käthe"])],
    "fr": [("L'Assemblée s'est réunie à\tNîmes, dit Zoé.", ["Nîmes", "Zoé"])],
    "fi": [("Väinö  työskentelee\r\nHelsingissä.", ["Väinö", "Helsingissä"])],
}
CHINESE = [("我在北京大学学习。 他住在上海。", ["北京大学", "上海"])]
BY_WORDS = [  # as the tokenizers of Japanese and Thai give them
    (["私", "は", "東京", "都", "に", "住ん", "で", "い", "ます", "。"], ["東京都"]),
    (["ฉัน", "เรียน", "ที่", "กรุงเทพมหานคร"], ["กรุงเทพมหานคร"]),
]


def gold(doc, entities):
    spans = [doc.char_span(doc.text.index(text), doc.text.index(text) + len(text), "NAME") for text in entities]
    assert all(spans), "an entity that is no whole words cannot be learned"
    doc.set_ents(spans)
    return doc


def trained(lang, folder, docs):
    """A pipeline that has learned Docs by heart. docs: A function of the pipeline."""
    nlp = spacy.blank(lang)
    block = {
        "@architectures": "spacy_ptv2.Tok2VecPTuning.v1",
        "backbone": {"@misc": "spacy_ptv2.Backbone.v1", "name": str(folder)},
        **option_blocks(**SMALL),
    }
    nlp.add_pipe("ptuning_transformer", config={"model": block})
    nlp.add_pipe("token_classifier")
    examples = [Example(bare(doc), doc) for doc in docs(nlp)]
    fix_random_seed(0)
    nlp.initialize(lambda: examples)
    optimizer = Adam(0.01, use_averages=False)
    for _ in range(80):
        nlp.update([Example(bare(example.reference), example.reference) for example in examples], sgd=optimizer)
    return nlp, [example.reference for example in examples]


def bare(doc):
    words, spaces = [token.text for token in doc], [bool(token.whitespace_) for token in doc]
    return Doc(doc.vocab, words=words, spaces=spaces)


def offsets(doc):
    return [(ent.start_char, ent.end_char, ent.text) for ent in doc.ents]


@pytest.mark.parametrize("fixture", ["tiny_folder", "roberta_folder"])
def test_one_pipeline_for_three_languages(fixture, request, tmp_path):
    texts = [pair for own in SENTENCES.values() for pair in own]
    folder = request.getfixturevalue(fixture)
    nlp, docs = trained("xx", folder, lambda nlp: [gold(nlp.make_doc(text), ents) for text, ents in texts])
    nlp.to_disk(tmp_path)
    for pipeline in (nlp, spacy.load(tmp_path)):
        found = list(pipeline.pipe(text for text, _ in texts))
        assert [offsets(doc) for doc in found] == [offsets(doc) for doc in docs]
        assert [doc.text for doc in found] == [text for text, _ in texts]


def test_chinese_by_characters(roberta_folder):
    nlp, docs = trained("zh", roberta_folder, lambda nlp: [gold(nlp.make_doc(text), ents) for text, ents in CHINESE])
    assert offsets(nlp(CHINESE[0][0])) == offsets(docs[0]) == [(2, 6, "北京大学"), (13, 15, "上海")]


def test_words_without_spaces(roberta_folder):
    def build(nlp):
        return [gold(Doc(nlp.vocab, words=words, spaces=[False] * len(words)), ents) for words, ents in BY_WORDS]

    nlp, docs = trained("xx", roberta_folder, build)
    assert [offsets(doc) for doc in nlp.pipe(map(bare, docs))] == [[(2, 5, "東京都")], [(11, 24, "กรุงเทพมหานคร")]]
