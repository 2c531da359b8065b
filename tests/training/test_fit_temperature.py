"""Temperatures that are fitted when a pipeline is saved: right by hand, saved, and without a trace in the training."""

import io
import random
import warnings
from dataclasses import replace

import numpy as np
import pytest
import spacy
import torch
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Corpus, Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as train_by_spacy

from spacy_ptv2.errors import PTuningError
from spacy_ptv2.pipeline.confidences import CONFIDENCES
from spacy_ptv2.pipeline.temperature import BIASES, fit, heads_of, judge, log_loss, smallest
from spacy_ptv2.training.fit_temperature import FitTemperature, build_fit_temperature_v1, fitted_half
from spacy_ptv2.training.run import train
from spacy_ptv2.training.trainer import Trainer, resolve_training

from ..tiny import FAST, build_pipeline, small_ner_config
from ..tiny import train as train_nlp

HEAD = "token_classifier"


@spacy.registry.callbacks("tests.fit_temperature.v1")
def build_for_few_entities():
    """As registered, for corpora of a few sentences."""
    return build_fit_temperature_v1(min_entities=2)


@pytest.fixture(scope="module")
def trained(tiny_folder, corpus):
    nlp = build_pipeline(tiny_folder, corpus)
    train_nlp(nlp, corpus, steps=12)
    return nlp


@pytest.fixture(scope="module")
def doubtful(corpus, tmp_path_factory):
    """Where each half has every sentence three times as in the corpus, and once without its entities."""
    nlp, docs = spacy.blank("en"), []
    for example in Corpus(corpus)(nlp):
        bare = example.reference.copy()
        bare.ents = []
        docs += [example.reference] * 6 + [bare] * 2
    path = tmp_path_factory.mktemp("doubtful") / "dev.spacy"
    DocBin(docs=docs).to_disk(path)
    return path


def config_of(folder, corpus, changes, *, callback="tests.fit_temperature.v1"):
    config = small_ner_config(folder, corpus, {**FAST, "initialize.before_init.epochs": 8, **changes})
    config["training"]["before_to_disk"] = {"@callbacks": callback} if callback else None
    return config


def examples_of(nlp, corpus):
    return list(Corpus(corpus)(nlp))


def tensors_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("model*.safetensors"))}


def test_the_smallest_value_is_found():
    assert smallest(lambda x: (x - 0.7) ** 2, -2, 2) == pytest.approx(0.7, abs=0.002)
    assert smallest(lambda x: x, -2, 2) == pytest.approx(-2, abs=0.002)


def test_loss_by_hand():
    assert log_loss(np.array([0.5, 0.75]), np.array([1.0, 0.0])) == pytest.approx((np.log(2) + np.log(4)) / 2)
    assert log_loss(np.array([1.0]), np.array([0.0])) < 14  # one that is certain and wrong does not decide alone


@pytest.mark.parametrize("kind", CONFIDENCES)
def test_the_temperature_with_the_smallest_loss(trained, doubtful, kind):
    head = trained.get_pipe(HEAD)
    head.cfg["confidence"] = kind
    try:
        judged = judge(trained, {HEAD: head}, examples_of(trained, doubtful))[HEAD]
        assert judged.right.mean() == pytest.approx(0.75)
        at = fit(judged)
        assert 0.25 < at < 8
        losses = [log_loss(judged.confidences(at * factor), judged.right) for factor in (0.95, 1, 1.05)]
        assert losses[1] == min(losses)
    finally:
        head.cfg["confidence"] = "product"


def test_what_is_right_is_what_spacy_counts(trained, doubtful):
    examples = examples_of(trained, doubtful)
    judged = judge(trained, heads_of(trained), examples)[HEAD]
    scores = trained.evaluate(examples)
    assert judged.right.mean() == pytest.approx(scores["ents_p"])
    assert not any(example.predicted.ents for example in examples)  # copies were annotated
    assert trained.get_pipe(HEAD).observer is None


def test_unknown_gold_is_not_judged(trained, corpus):
    examples = [
        Example(one.predicted, Doc(trained.vocab, words=[t.text for t in one.reference]))
        for one in examples_of(trained, corpus)
    ]
    assert len(judge(trained, heads_of(trained), examples)[HEAD].right) == 0


def test_labels_that_the_head_does_not_know_are_wrong(trained, corpus):
    examples = examples_of(trained, corpus)
    for example in examples:
        doc = example.reference
        doc.ents = [Span(doc, ent.start, ent.end, label="ELSE") for ent in doc.ents]
    judged = judge(trained, heads_of(trained), examples)[HEAD]
    assert len(judged.right) and not judged.right.any()


@pytest.mark.parametrize("by", [train_by_spacy, train])
def test_training_saves_it_and_is_otherwise_the_same(by, tiny_folder, corpus, doubtful, tmp_path):
    """The same weights, scores and random numbers; the saved pipeline loads without a corpus."""
    outcomes = {}
    for name, callback in (("with", "tests.fit_temperature.v1"), ("without", None)):
        config = config_of(tiny_folder, corpus, {"paths.dev": str(doubtful)}, callback=callback)
        (tmp_path / name).mkdir()
        nlp = init_nlp(config)
        by(nlp, tmp_path / name, stdout=io.StringIO(), stderr=io.StringIO())
        numbers = (random.random(), float(np.random.random()), float(torch.rand(())))
        outcomes[name] = numbers, tensors_of(tmp_path / name)
    assert outcomes["with"] == outcomes["without"]
    saved, plain = (spacy.load(tmp_path / name / "model-last") for name in outcomes)
    expected = fit(judge(plain, heads_of(plain), fitted_half(examples_of(plain, doubtful)))[HEAD])
    assert saved.get_pipe(HEAD).cfg["temperature"] == expected != 1.0
    assert plain.get_pipe(HEAD).cfg["temperature"] == 1.0
    assert saved.meta["performance"]["ents_f"] == plain.meta["performance"]["ents_f"]
    saved.config["paths"]["dev"] = saved.config["corpora"]["dev"]["path"] = "nowhere.spacy"
    saved.to_disk(tmp_path / "again")
    assert spacy.load(tmp_path / "again").get_pipe(HEAD).cfg["temperature"] == expected


def test_learning_on_takes_it_back(trained, corpus):
    """It was fitted for other weights; of a training that goes on, no score depends on where it was saved."""
    head = trained.get_pipe(HEAD)
    head.cfg["temperature"] = 3.0
    trained.evaluate(examples_of(trained, corpus))
    assert head.cfg["temperature"] == 3.0
    train_nlp(trained, corpus, steps=1)
    assert head.cfg["temperature"] == 1.0


def test_frozen_components_keep_theirs(trained, corpus):
    nlp, head = trained, trained.get_pipe(HEAD)
    nlp.config["training"]["frozen_components"] = [HEAD]
    head.cfg["temperature"] = 3.0
    try:
        with pytest.warns(UserWarning, match="PW15.*token_classifier"):
            assert FitTemperature(2, lambda nlp: examples_of(nlp, corpus))(nlp) is nlp
        assert head.cfg["temperature"] == 3.0
    finally:
        nlp.config["training"]["frozen_components"] = []
        head.cfg["temperature"] = 1.0


def test_too_few_entities_are_told_once(trained, doubtful, tmp_path):
    DocBin(docs=[trained.make_doc("works"), trained.make_doc("in")]).to_disk(tmp_path / "few.spacy")
    head = trained.get_pipe(HEAD)
    callback = FitTemperature(100, lambda nlp: examples_of(nlp, tmp_path / "few.spacy"))
    head.cfg["temperature"] = 3.0
    with pytest.warns(UserWarning, match="PW14.*stays 1:.*has 0 entities.*at least 100"):
        callback(trained)
    assert head.cfg["temperature"] == 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        callback(trained)
        FitTemperature(2, lambda nlp: examples_of(nlp, doubtful))(trained)
    assert head.cfg["temperature"] != 1.0
    head.cfg["temperature"] = 1.0


def test_a_training_without_a_config_fits_to_its_own_dev_corpus(trained, doubtful, tmp_path):
    settings = {**resolve_training(trained), "before_to_disk": FitTemperature(2)}
    trainer = Trainer(trained, settings, (lambda nlp: [], lambda nlp: examples_of(nlp, doubtful)))
    trainer.save(tmp_path, is_best=True)
    assert spacy.load(tmp_path / "model-best").get_pipe(HEAD).cfg["temperature"] != 1.0
    trained.get_pipe(HEAD).cfg["temperature"] = 1.0


@pytest.fixture
def shy(tiny_folder, corpus):
    """A pipeline whose head has too high a score of "O"."""
    nlp = build_pipeline(tiny_folder, corpus)
    train_nlp(nlp, corpus, steps=12)
    head = nlp.get_pipe(HEAD)
    bias = head.model.get_ref("output_layer").get_param("b")
    bias[head.tag_scheme.tag_ids["O"]] += 3
    return nlp


def test_an_outside_bias_is_that_of_the_output_layer(shy, corpus):
    head = shy.get_pipe(HEAD)
    layer, outside = head.model.get_ref("output_layer"), head.tag_scheme.tag_ids["O"]
    docs = [example.reference.text for example in examples_of(shy, corpus)]
    head.cfg["outside_bias"] = 2.0
    by_setting = [(found.to_json(), found.spans["ents"].attrs["scores"]) for found in shy.pipe(docs)]
    head.set_back()
    lowered = layer.get_param("b").copy()
    lowered[outside] -= 2
    layer.set_param("b", lowered)
    by_layer = [(found.to_json(), found.spans["ents"].attrs["scores"]) for found in shy.pipe(docs)]
    assert [found for found, _ in by_setting] == [found for found, _ in by_layer]
    for (_, scores), (_, expected) in zip(by_setting, by_layer, strict=True):
        assert scores == pytest.approx(expected, abs=1e-6)


def test_the_outside_bias_with_the_best_f1_is_fitted(shy, corpus):
    head, examples = shy.get_pipe(HEAD), examples_of(shy, corpus)
    before = shy.evaluate(examples)["ents_f"]
    FitTemperature(2, outside_bias=True, corpus=lambda nlp: [one for one in examples for _ in range(2)])(shy)
    fitted = head.cfg["outside_bias"]
    scores = {}
    for bias in BIASES:
        head.cfg["outside_bias"] = bias
        scores[bias] = shy.evaluate(examples)["ents_f"]
    assert fitted > 0
    assert scores[fitted] == max(scores.values()) > before
    assert all(abs(bias) >= abs(fitted) for bias, score in scores.items() if score == scores[fitted])


def test_an_outside_bias_is_fitted_only_if_asked_for_and_to_enough(shy, corpus):
    head = shy.get_pipe(HEAD)
    for callback in (FitTemperature(2), FitTemperature(10_000, outside_bias=True)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            replace(callback, corpus=lambda nlp: examples_of(nlp, corpus))(shy)
        assert head.cfg["outside_bias"] == 0.0


def test_an_outside_bias_is_saved_and_learning_on_takes_it_back(shy, corpus, tmp_path):
    shy.get_pipe(HEAD).cfg["outside_bias"] = 1.25
    shy.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    head = loaded.get_pipe(HEAD)
    assert head.cfg["outside_bias"] == 1.25
    train_nlp(loaded, corpus, steps=1)
    assert head.cfg["outside_bias"] == 0.0


def test_an_impossible_number_is_refused():
    with pytest.raises(PTuningError, match="P407.*min_entities.*at least 1, got 0"):
        build_fit_temperature_v1(min_entities=0)
