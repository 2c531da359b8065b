"""`spacy_ptv2.train`: pipelines made in Python learn without a config file."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
import spacy
from spacy.tokens import DocBin, Span
from spacy.training import Example

import spacy_ptv2
from spacy_ptv2.errors import CorpusError, PTuningError
from spacy_ptv2.shipped import read_shipped
from spacy_ptv2.training.in_python import TASKS

from ..tiny import save_tiny_backbone

TEXTS = [
    ("peter opens\nthe office in london", {"entities": [(0, 5, "PER"), (26, 32, "LOC")]}),
    ("mary  works in paris", {"entities": [(0, 4, "PER"), (15, 20, "LOC")]}),
    ("a letter was opened", {"entities": []}),
]


def make_nlp(tiny_folder, *heads, fast=True, **config):
    """fast: With a [training] block whose rates suit a tiny random backbone."""
    nlp = spacy.blank("en")
    backbone = {"@misc": "spacy_ptv2.Backbone.v1", "name": str(tiny_folder)}
    adapter = {"@misc": "spacy_ptv2.Adapter.v1", "lora_rank": 2}
    nlp.add_pipe("ptuning_transformer", config={"model": {"backbone": backbone, "adapter": adapter}})
    for head in heads:
        nlp.add_pipe(head, config=config)
    if fast:
        block = read_shipped("ner")["training"]
        del block["score_weights"]
        block["optimizer"]["learn_rates"] = dict.fromkeys(block["optimizer"]["learn_rates"], 0.01)
        nlp.config["training"].update(block)
    return nlp


def as_docs(nlp):
    return [Example.from_dict(nlp.make_doc(text), own).reference for text, own in TEXTS]


class Dataset(list):
    """Rows as Hugging Face's datasets have them: numbers, whose names are in the features of their columns."""

    TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")

    def __init__(self, docs):
        self.features = {"tokens": None, "ner_tags": SimpleNamespace(feature=SimpleNamespace(names=self.TAGS))}
        rows = []
        for doc in docs:
            words = [token for token in doc if not token.is_space]
            tags = [f"{token.ent_iob_}-{token.ent_type_}" if token.ent_type_ else "O" for token in words]
            rows.append({"tokens": [token.text for token in words], "ner_tags": [self.TAGS.index(t) for t in tags]})
        super().__init__(rows)


FORMS = ["pairs", "docs", "examples", "other vocab", "rows", "file", "conll"]


@pytest.mark.parametrize("form", FORMS)
def test_learns_from_what_there_is(form, tiny_folder, train_file, tmp_path):
    nlp = make_nlp(tiny_folder, "token_classifier")
    DocBin(docs=as_docs(nlp)).to_disk(tmp_path / "gold.spacy")
    source = {
        "pairs": TEXTS,
        "docs": iter(as_docs(nlp)),
        "examples": [Example(nlp.make_doc(doc.text), doc) for doc in as_docs(nlp)],
        "other vocab": as_docs(spacy.blank("en")),
        "rows": Dataset(as_docs(nlp)),
        "file": str(tmp_path / "gold.spacy"),
        "conll": train_file,
    }[form]
    scores = spacy_ptv2.train(nlp, source, tmp_path / "gold.spacy", epochs=2, min_steps=60)
    if form != "conll":
        assert scores["ents_f"] == 1.0
        assert {(ent.text, ent.label_) for ent in nlp(TEXTS[0][0]).ents} == {("peter", "PER"), ("london", "LOC")}
    assert nlp.path is None and nlp.meta["performance"] == scores


def test_the_shipped_training_by_default(tiny_folder):
    nlp = make_nlp(tiny_folder, "token_classifier", fast=False)
    spacy_ptv2.train(nlp, TEXTS, TEXTS, epochs=1, min_steps=2)
    trained, shipped = nlp.config["training"], read_shipped("ner")["training"]
    assert trained["batcher"] == shipped["batcher"] and trained["dropout"] == shipped["dropout"]
    assert trained["optimizer"]["learn_rates"] == shipped["optimizer"]["learn_rates"]
    assert trained["score_weights"]["ents_f"] == 1.0 and trained["max_steps"] == 2


def test_the_best_weights_stay_and_the_folder_has_them(tiny_folder, tmp_path):
    nlp = make_nlp(tiny_folder, "token_classifier")
    scores = spacy_ptv2.train(nlp, TEXTS, TEXTS, output=tmp_path / "out", epochs=3, min_steps=30)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"model-best", "model-last", "curve.jsonl"}
    best = spacy.load(tmp_path / "out" / "model-best")
    for name in nlp.pipe_names:
        assert nlp.get_pipe(name).to_bytes() == best.get_pipe(name).to_bytes()
    curve = [json.loads(line) for line in (tmp_path / "out" / "curve.jsonl").read_text().splitlines()]
    assert [point["step"] for point in curve] == [0, 10, 20, 30]
    assert max(point["score"] for point in curve) == pytest.approx(scores["ents_f"])


@pytest.mark.parametrize("reloaded", [False, True])
def test_goes_on_from_what_it_has_learned(reloaded, tiny_folder, tmp_path):
    """A second training starts from the weights and labels of the first, loaded or not."""
    nlp = make_nlp(tiny_folder, "token_classifier")
    spacy_ptv2.train(nlp, TEXTS, TEXTS, output=tmp_path / "out", epochs=2, min_steps=60)
    if reloaded:
        nlp = spacy.load(tmp_path / "out" / "model-best")
    spacy_ptv2.train(nlp, TEXTS, TEXTS, output=tmp_path / "again", epochs=1, min_steps=60)  # a warmup, so a small step
    first = json.loads((tmp_path / "again" / "curve.jsonl").read_text().splitlines()[0])
    assert first["step"] == 0 and first["score"] == 1.0


def test_the_same_seed_gives_the_same_weights(tiny_folder):
    made = []
    for seed in (1, 1, 2):
        nlp = make_nlp(tiny_folder, "token_classifier")
        spacy_ptv2.train(nlp, TEXTS, TEXTS, epochs=1, min_steps=4, seed=seed)
        made.append(nlp.get_pipe("token_classifier").to_bytes())
    assert made[0] == made[1] != made[2]


def test_spacys_heads_learn(tiny_folder):
    """Of spaCy's own components, with a listener as their tok2vec; the scores are those of their factories."""
    model = {"tok2vec": {"@architectures": "spacy_ptv2.PTuningListener.v1"}}
    nlp = make_nlp(tiny_folder, "tagger", model=model)
    tagged = [(text, {"tags": ["N" if len(t) > 4 else "X" for t in nlp.make_doc(text)]}) for text, _ in TEXTS]
    scores = spacy_ptv2.train(nlp, tagged, tagged, epochs=2, min_steps=60)
    assert scores["tag_acc"] > 0.9


@pytest.mark.parametrize("factory", TASKS)
def test_tasks_train_with_the_batches_of_their_configs(factory, tmp_path):
    folder = save_tiny_backbone(tmp_path / "bert", "bert", max_position_embeddings=512)
    nlp = spacy.blank("en")
    backbone = {"@misc": "spacy_ptv2.Backbone.v1", "name": str(folder)}
    nlp.add_pipe(factory, config={"model": {"tok2vec": {"backbone": backbone}}})
    gold = [nlp.make_doc(text) for text, _ in TEXTS[:2]]
    for number, doc in enumerate(gold):
        doc.cats = {"yes": float(number), "no": 1.0 - number}
        doc.spans["predicates"] = [doc[1:2]]
        doc.spans["roles"] = [Span(doc, 0, 1, "A0")]
        if factory == "pair_classifier":
            doc._.second_text = "mary works"
        if factory == "role_labeler":
            doc.spans["roles"].attrs["predicates"] = [0]
        if factory == "question_answerer":
            doc._.questions, doc._.answers = ["who works?"], [[{"start": 0, "end": 4, "answer": "mary"}]]
    spacy_ptv2.train(nlp, gold, gold, epochs=1, min_steps=2)
    assert nlp.config["training"]["batcher"] == read_shipped(TASKS[factory])["training"]["batcher"]


def test_ones_own_training_block_stays(tiny_folder):
    nlp = make_nlp(tiny_folder, "token_classifier")
    nlp.config["training"]["optimizer"]["restarts"] = 0
    nlp.config["training"]["batcher"]["size"] = 7
    nlp.config["training"]["logger"] = {"@loggers": "spacy.ConsoleLogger.v1"}
    spacy_ptv2.train(nlp, TEXTS, TEXTS, epochs=1, min_steps=2)
    training = nlp.config["training"]
    assert (training["optimizer"]["restarts"], training["batcher"]["size"], training["max_steps"]) == (0, 7, 3)


@pytest.mark.parametrize(
    ("train", "dev", "message"),
    [
        ([], TEXTS, "P789.*train"),
        (TEXTS, [], "P789.*dev"),
        ([{"tokens": ["mary"], "ner_tags": [1]}], TEXTS, "P022.*rows"),
        ([{"text": "mary", "rating": 1}], TEXTS, "P0.*rows"),
        (["mary works in paris"], TEXTS, "P788.*got 'mary works"),
        ([("mary works", ["PER"])], TEXTS, "P788"),
    ],
)
def test_corpora_that_teach_nothing(train, dev, message, tiny_folder):
    with pytest.raises(CorpusError, match=message):
        spacy_ptv2.train(make_nlp(tiny_folder, "token_classifier"), train, dev)


def test_a_head_without_vectors_says_what_is_missing():
    nlp = spacy.blank("en")
    nlp.add_pipe("token_classifier")
    with pytest.raises(PTuningError, match="P797.*ptuning_transformer"):
        spacy_ptv2.train(nlp, TEXTS, TEXTS)


def test_importing_the_package_loads_no_torch():
    code = "import spacy_ptv2, sys; assert 'torch' not in sys.modules; spacy_ptv2.train; assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'trane'"):
        _ = spacy_ptv2.trane
