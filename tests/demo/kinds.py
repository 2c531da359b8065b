"""A small trained pipeline of each kind that the demo shows, all over one tiny backbone, and texts that they know."""

import spacy
from spacy.tokens import Span

from spacy_ptv2.annotations.answers import gold_answer
from spacy_ptv2.annotations.roles import set_roles

from ..tiny import SMALL, option_blocks, task_block, train_task

EVIL = '<img src=x onerror="window.planted=1">'  # a label
SCRIPT = "<script>window.planted = 2</script>"  # in a text
TEXT = "peter opens  the danish\noffice in london"
OTHER = "mary works\tand john\n\nopens a letter"
NAMES = {TEXT: [(0, 5, "PER"), (17, 23, EVIL), (34, 40, "LOC")], OTHER: [(0, 4, "PER"), (15, 19, "PER")]}
FRAMES = {TEXT: [(1, [(0, 1, "A0"), (3, 7, "A1")])], OTHER: [(6, [(4, 5, "A0"), (7, 9, "A1")])]}


def tok2vec(folder):
    backbone = {"@misc": "spacy_ptv2.Backbone.v1", "name": str(folder)}
    return {"@architectures": "spacy_ptv2.Tok2VecPTuning.v1", "backbone": backbone, **option_blocks(**SMALL)}


def on_words(folder):
    return {"model": {"@architectures": "spacy_ptv2.TokenClassifier.v1", "tok2vec": tok2vec(folder)}}


def trained(docs_of, components, steps):
    nlp = spacy.blank("en")
    for factory, config in components:
        nlp.add_pipe(factory, config=config)
    train_task(nlp, [docs_of(nlp, text) for text in (TEXT, OTHER)], steps=steps)
    return nlp


def with_entities(nlp, text):
    doc = nlp.make_doc(text)
    doc.ents = [doc.char_span(*place, label=label) for *place, label in NAMES[text]]
    return doc


def with_class(nlp, text):
    doc = nlp.make_doc(text)
    doc.cats = {"work": float(text == TEXT), "post": float(text == OTHER)}
    return doc


def with_answers(nlp, text):
    doc = nlp.make_doc(text)
    who = text.split()[0]
    doc._.questions, doc._.answers = ["who ?"], [[gold_answer(who, 0)]]
    return doc


def with_frames(nlp, text):
    doc = nlp.make_doc(text)
    doc.spans["predicates"] = [Span(doc, at, at + 1) for at, _ in FRAMES[text]]
    set_roles(doc, [roles for _, roles in FRAMES[text]])
    return doc


def with_tags(nlp, text):
    doc = nlp.make_doc(text)
    for token in doc:
        token.tag_ = "SP" if token.is_space else "NN" if token.is_alpha else "X"
    return doc


def with_second_text(nlp, text):
    doc = with_class(nlp, text)
    doc._.second_text = "peter"
    return doc


def with_choice(nlp, text):
    doc = nlp.make_doc(text)
    doc._.second_text, doc._.choice = ["peter", "mary"], int(text == OTHER)
    return doc


def with_marked_word(nlp, text):
    doc = with_second_text(nlp, text)
    doc.spans["marked"] = [doc[0:1]]
    return doc


def build(kind, folder):
    """Return a trained pipeline of a kind."""
    sequence = {"model": task_block(folder, "Doc", rows="sequence")}
    pair = {"model": task_block(folder, "Pair", rows="sequence")}
    kinds = {
        "news": (with_entities, [("token_classifier", on_words(folder))], 60),
        "topics": (with_class, [("text_classifier", sequence)], 30),
        "answers": (with_answers, [("question_answerer", {"model": task_block(folder, "Question")})], 60),
        "roles": (with_frames, [("role_labeler", {"model": task_block(folder, "Predicate")})], 60),
        "tags": (
            with_tags,
            [("tagger", {"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": tok2vec(folder)}})],
            20,
        ),
        "pairs": (with_second_text, [("pair_classifier", pair)], 2),
        "choices": (with_choice, [("pair_classifier", {**pair, "choices": True})], 2),
        "marked": (with_marked_word, [("pair_classifier", {"model": task_block(folder, "Pair", rows="spans")})], 0),
    }
    docs_of, components, steps = kinds[kind]
    return trained(docs_of, components, steps)
