"""The folder of a reader of the docs: tiny pipelines under the names that the pages load, corpora and adapters."""

from shutil import copytree

import pytest
import spacy
from spacy.tokens import DocBin, Span
from spacy.training import Example
from spacy.training.initialize import init_nlp
from thinc.config import Config

from spacy_ptv2.annotations.names import ANSWERS, QUESTIONS, SECOND_TEXT, add_extension
from spacy_ptv2.backbones.source import OVERRIDE_VARIABLE
from spacy_ptv2.corpora.conllu import read_trees
from spacy_ptv2.interchange.pipelines import export_adapter
from spacy_ptv2.shipped import shipped_text

from .conftest import DATA
from .tiny import save_tiny_backbone

TEXT = "Kim gave Lee a book yesterday."
BACKBONE = "models/all-MiniLM-L6-v2"  # stands in for every other one


def make_roles(nlp):
    doc = nlp.make_doc(TEXT)
    doc.spans["predicates"] = [doc[1:2]]
    doc.spans["roles"] = [Span(doc, 0, 1, "ARG0", span_id="0"), Span(doc, 3, 5, "ARG1", span_id="0")]
    return doc


def make_pair(nlp):
    doc = nlp.make_doc(TEXT)
    doc._.second_text, doc.cats = "Lee has it.", {"same": 1.0, "other": 0.0}
    return doc


def make_question(nlp):
    doc = nlp.make_doc(TEXT)
    doc._.questions, doc._.answers = ["Who gave?"], [[{"answer": "Kim", "start": 0, "end": 3}]]
    return doc


def make_entities(nlp):
    doc = nlp.make_doc(TEXT)
    doc.ents = [Span(doc, 0, 1, "PER")]
    for token in doc:
        token.tag_ = "NN" if token.is_alpha else "."
    return doc


# Name of a pipeline: its shipped config, and what it learns from.
PIPELINES = {
    "en_ptv2_ner": ("ner", make_entities),
    "en_srl": ("srl", make_roles),
    "en_frames": ("frames", make_roles),
    "en_squad": ("squad", make_question),
    "en_pairs": ("pairs", make_pair),
}
COPIES = {"en_ptv2_news": "en_ptv2_ner", "models/letters": "en_ptv2_ner", "training/model-best": "en_ptv2_ner"}


def save_shipped(name, folder):
    """Save an initialised, untrained pipeline of a shipped config."""
    for attribute in (QUESTIONS, ANSWERS, SECOND_TEXT):
        add_extension(attribute)
    task, make_doc = PIPELINES[name]
    corpus = folder / f"{task}.spacy"
    DocBin(docs=[make_doc(spacy.blank("en"))], store_user_data=True).to_disk(corpus)
    overrides = {"paths.train": str(corpus), "paths.dev": str(corpus), "initialize.before_init.min_steps": 2}
    config = Config().from_str(shipped_text(task), overrides={**overrides, "initialize.before_init.epochs": 1})
    init_nlp(config).to_disk(folder / name)


def save_tagger(folder):
    nlp = spacy.blank("en")
    nlp.add_pipe("ptuning_transformer", name="transformer")
    listener = {"@architectures": "spacy_ptv2.PTuningListener.v1"}
    nlp.add_pipe("tagger", config={"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": listener}})
    doc = make_entities(nlp)
    nlp.initialize(lambda: [Example(nlp.make_doc(doc.text), doc)])
    nlp.to_disk(folder / "en_ptv2_tagger")


def save_corpora(folder):
    """Save sentences with entities, tags and trees under every name that the pages give a corpus."""
    docs = list(read_trees(DATA / "en_ewt-ud.conllu"))
    for doc in docs:
        doc.set_ents([Span(doc, token.i, token.i + 1, "PER") for token in doc if token.pos_ in ("PROPN", "PRON")])
    docs = docs[:6]
    for name in ("train", "dev", "test", "DEV", "corpus/conll03/train", "corpus/conll03/dev", "corpus/conll03/test"):
        path = folder / f"{name}.spacy"
        path.parent.mkdir(parents=True, exist_ok=True)
        DocBin(docs=docs).to_disk(path)


def save_reader(folder):
    """Save all of it. RETURNS: The folder."""
    for name in (BACKBONE, "models/all-mpnet-base-v2", "bert-base-uncased"):
        save_tiny_backbone(folder / name, "bert", max_position_embeddings=512, num_hidden_layers=6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(OVERRIDE_VARIABLE, str(folder / BACKBONE))
        for name in PIPELINES:
            save_shipped(name, folder)
        save_tagger(folder)
        for copy, name in COPIES.items():
            copytree(folder / name, folder / copy)
        export_adapter(spacy.load(folder / "en_ptv2_ner"), folder / "adapter", "peft")
    save_corpora(folder)
    (folder / "ner.cfg").write_text(shipped_text("ner"), encoding="utf8")
    return folder
