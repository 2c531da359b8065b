"""`spacy train`'s own loop over our pipeline: planned steps, the curve, interruption, parameter averages."""

import json
import warnings

import pytest
import spacy
from spacy.tokens import DocBin
from spacy.training import Corpus
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as train_nlp
from spacy.util import load_config, load_model_from_config

from spacy_ptv2.errors import PTuningError
from spacy_ptv2.layers.encode_pieces import get_shim
from spacy_ptv2.optimizers import create_optimizer
from spacy_ptv2.training.planning import build_plan_steps_v1

from ..tiny import small_ner_config

LISTENER = {"@architectures": "spacy_ptv2.PTuningListener.v1"}


@pytest.fixture
def config(tiny_folder, corpus, tmp_path):
    batches = {"training.batcher.size": 6, "training.batcher.buffer": 2}  # three sentences: three steps an epoch
    return small_ner_config(tiny_folder, corpus, {**batches, "paths.curve": str(tmp_path / "curve.jsonl")})


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "training"
    path.mkdir()  # as the command line does
    return path


def test_epochs_become_steps(config):
    config["initialize"]["before_init"]["epochs"] = 5
    nlp = init_nlp(config)
    assert nlp.config["training"]["max_steps"] == 15
    assert nlp.config["training"]["eval_frequency"] == 3
    assert nlp.config["training"]["optimizer"]["schedule"]["total_steps"] == 15


def test_a_small_corpus_is_passed_more_often(config):
    config["initialize"]["before_init"].update(epochs=5, evaluations_per_epoch=2, min_steps=40)
    training = init_nlp(config).config["training"]
    assert (training["max_steps"], training["optimizer"]["schedule"]["total_steps"]) == (40, 40)
    assert training["eval_frequency"] == 4  # as many evaluations as in five passes


def test_epochs_become_steps_of_the_reference_schedule(config):
    config["training"]["optimizer"]["schedule"] = {
        "@schedules": "spacy_ptv2.epoch_decay.v1",
        "steps_per_epoch": 1,
        "decay": 0.95,
    }
    config["initialize"]["before_init"]["evaluations_per_epoch"] = 3
    nlp = init_nlp(config)
    assert nlp.config["training"]["optimizer"]["schedule"]["steps_per_epoch"] == 3
    assert nlp.config["training"]["eval_frequency"] == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs to be at least 1, got 0"),
        ({"epochs": 1, "evaluations_per_epoch": 0}, "evaluations_per_epoch to be at least 1, got 0"),
        ({"epochs": 1, "min_steps": -1}, "min_steps to be at least 0, got -1"),
    ],
)
def test_impossible_plans_are_refused(settings, message):
    with pytest.raises(PTuningError, match=f"P407.*{message}"):
        build_plan_steps_v1(**settings)


def test_empty_corpus_is_refused(config, tmp_path):
    DocBin().to_disk(tmp_path / "empty.spacy")
    config["paths"]["train"] = str(tmp_path / "empty.spacy")
    with pytest.raises(PTuningError, match="P406.*corpora.train"):
        init_nlp(config)


def test_trains_and_keeps_the_curve(config, folder, tmp_path):
    config["initialize"]["before_init"]["epochs"] = 40
    nlp = init_nlp(config)
    train_nlp(nlp, folder)
    points = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert [point["step"] for point in points] == list(range(0, 121, 3))
    assert 40 * 12 < points[-1]["words"] <= 40 * 12 + 6  # spaCy logs after the batch that follows
    assert points[-1]["score"] == points[-1]["scores"]["seqeval_f"] == 1.0
    assert set(points[0]["losses"]) == {"transformer", "token_classifier"}
    best = spacy.load(folder / "model-best")
    assert [ent.text for ent in best("John works in New York .").ents] == ["John", "New York"]
    assert best.config["training"]["max_steps"] == 120


def test_interruption_leaves_the_last_best_model(config, folder, tmp_path):
    config["initialize"]["before_init"]["epochs"] = 40
    nlp = init_nlp(config)
    update, calls = nlp.get_pipe("token_classifier").update, []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == 80:
            raise KeyboardInterrupt
        return update(*args, **kwargs)

    nlp.get_pipe("token_classifier").update = interrupted
    with pytest.raises(KeyboardInterrupt):
        train_nlp(nlp, folder)
    points = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    best = spacy.load(folder / "model-best")
    assert best.meta["performance"]["ents_f"] == max(point["score"] for point in points) > 0
    assert best("John works in New York .").ents


def test_same_seed_gives_the_same_prompt_another_seed_another(config):
    def trained(seed):
        config["system"]["seed"] = seed
        nlp = init_nlp(config)
        train_nlp(nlp, None)
        return get_shim(nlp.get_pipe("transformer").model.layers[0]).to_bytes()

    assert trained(1) == trained(1)
    assert trained(1) != trained(2)


@pytest.mark.parametrize("optimizer", [None, {"@optimizers": "Adam.v1", "learn_rate": 0.01, "use_averages": True}])
def test_parameter_averages_are_saved(config, folder, optimizer):
    """Thinc's PyTorchShim never finds the averages (thinc 8.3.14); with ours they are what is written to disk."""
    config["training"]["optimizer"] = optimizer or config["training"]["optimizer"]
    config["initialize"]["before_init"]["epochs"] = 10
    nlp = init_nlp(config)
    train_nlp(nlp, folder)
    last = spacy.load(folder / "model-last")
    saved, raw = (get_shim(n.get_pipe("transformer").model.layers[0]).export_state() for n in (last, nlp))
    assert not any((saved[name] == raw[name]).all() for name in ("prompt.values", "lora.weights", "scalar_mix.weights"))


@pytest.fixture
def delivered(config, folder, tmp_path, corpus):
    """A trained pipeline, far from the corpora it was trained on."""
    moved = tmp_path / "moved.spacy"
    moved.write_bytes(corpus.read_bytes())
    config["paths"]["train"] = config["paths"]["dev"] = str(moved)
    train_nlp(init_nlp(config), folder)
    moved.unlink()
    return folder / "model-best"


@pytest.mark.parametrize("added", [False, True])
def test_a_delivered_pipeline_needs_no_corpus(delivered, corpus, added):
    nlp = spacy.load(delivered)
    examples = list(Corpus(corpus)(nlp))
    planned = dict(nlp.config["training"]["optimizer"]["schedule"])
    if added:
        nlp.add_pipe("tagger", config={"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": LISTENER}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer = nlp.initialize(lambda: examples)
        losses = [nlp.update(examples, sgd=optimizer, losses={})["token_classifier"] for _ in range(10)]
        assert nlp.resume_training() is optimizer
    assert losses[-1] < losses[0]
    assert nlp.config["training"]["optimizer"]["schedule"] == planned


def test_the_config_of_a_delivered_pipeline_plans_again(delivered, corpus):
    config = load_config(delivered / "config.cfg", overrides={"paths.train": str(corpus), "paths.dev": str(corpus)})
    config["initialize"]["before_init"]["epochs"] = 7
    assert init_nlp(config).config["training"]["optimizer"]["schedule"]["total_steps"] == 21


@pytest.mark.parametrize("path", [None, "nowhere.spacy"])
def test_a_corpus_that_cannot_be_read_is_said(config, corpus, path):
    config["paths"]["train"] = path
    nlp = load_model_from_config(config, auto_fill=True)
    optimizer = create_optimizer(nlp, total_steps=20)
    with pytest.warns(UserWarning, match="PW13.*create_optimizer"):
        nlp.initialize(lambda: Corpus(corpus)(nlp), sgd=optimizer)
    examples = list(Corpus(corpus)(nlp))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        losses = [nlp.update(examples, sgd=optimizer, losses={})["token_classifier"] for _ in range(20)]
    assert losses[-1] < losses[0] / 2
    with pytest.raises((ValueError, OSError), match="E913|nowhere"):  # `spacy train` ends as without us
        init_nlp(config)


def test_a_streamed_corpus_is_refused(config):
    config["training"]["max_epochs"] = -1
    with pytest.raises(PTuningError, match=r"P414.*max_epochs = -1.*before_init"):
        init_nlp(config)
