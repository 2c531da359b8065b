"""The range test over the tiny backbone: the steps of `spacy train`, at rates that grow, and nothing left behind."""

import json
import math
from itertools import pairwise

import pytest
import spacy
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as train_nlp
from thinc.api import Config

from spacy_ptv2.errors import PTuningError
from spacy_ptv2.optimizers.base import StepOptimizer
from spacy_ptv2.training.rate_finder import RateFinder, growing_factors, judged_components

from ..tiny import small_ner_config

RATES = {"prompt": 0.03, "lora": 0.002, "scalar_mix": 0.01, "word_shape": 0.005, "head": 0.005}


@pytest.fixture
def config(tiny_folder, corpus):
    """The shipped config, small, two steps an epoch."""
    changes = {"training.batcher.size": 6, "training.batcher.buffer": 2, "training.max_epochs": 1}
    return small_ner_config(tiny_folder, corpus, changes)


@pytest.fixture
def finder(config):
    return RateFinder(config, steps=20)


def changed(config, **overrides):
    return Config().from_str(config.to_str(), interpolate=False, overrides=overrides)


def give(finder, monkeypatch, losses):
    """Let the steps of a test have these losses."""
    monkeypatch.setattr(finder, "_train", lambda: iter([{"token_classifier": loss} for loss in losses]))


def test_factors_grow_from_a_thousandth_to_a_hundred():
    factors = list(growing_factors(31))
    assert (factors[0], factors[-1], len(factors)) == (pytest.approx(1e-3), pytest.approx(1e2), 31)
    ratios = [later / earlier for earlier, later in pairwise(factors)]
    assert ratios == pytest.approx([ratios[0]] * 30)


def test_each_step_is_taken_at_the_rate_of_its_point(finder, monkeypatch):
    """All steps are taken, though the config says one epoch, which is fewer."""
    rates = []
    step = StepOptimizer.step_schedules
    monkeypatch.setattr(StepOptimizer, "step_schedules", lambda self: rates.append(self.factor) or step(self))
    points = list(finder.run())
    assert rates == [point.factor for point in points] == list(growing_factors(20))
    assert points == finder.curve.points
    assert finder.rates == RATES


def test_the_first_step_is_that_of_spacy_train(config, finder, tmp_path):
    """The same batch, dropout and start: the same loss."""
    config = changed(
        config,
        **{
            "paths.curve": str(tmp_path / "curve.jsonl"),
            "initialize.before_init.epochs": 1,
            "initialize.before_init.min_steps": 0,
        },
    )
    train_nlp(init_nlp(config), None)
    first = json.loads((tmp_path / "curve.jsonl").read_text().splitlines()[0])
    assert first["losses"]["transformer"] > 0
    assert next(finder.run()).loss == pytest.approx(first["losses"]["token_classifier"], abs=1e-6)


def test_the_loss_responds_to_the_rates(finder):
    losses = [point.loss for point in finder.run()]
    assert min(losses[10:]) < 0.7 * losses[0]
    assert losses[1] == pytest.approx(losses[0], rel=0.5)


def test_nothing_is_written(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = changed(config, **{"paths.curve": "curve.jsonl"})
    before = given.to_str()
    list(RateFinder(given, steps=20).run())
    assert given.to_str() == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("worst", [1e6, math.nan, math.inf])
def test_it_ends_when_the_loss_explodes(finder, monkeypatch, worst):
    give(finder, monkeypatch, [2.0] * 5 + [worst] * 15)
    points = list(finder.run())
    assert finder.curve.has_diverged
    assert [point.loss for point in points] == [2.0] * 5 + [1e6] * math.isfinite(worst)


@pytest.mark.parametrize(("message", "ends"), [("[E910] Encountered NaN value", True), ("another", False)])
def test_a_component_that_refuses_a_loss_ends_it(finder, monkeypatch, message, ends):
    """spaCy's tagger raises where the loss is no number; any other error is not ours to hide."""
    head = finder._nlp.get_pipe("token_classifier")
    update, calls = head.update, []

    def failing(*args, **settings):
        calls.append(1)
        if len(calls) == 5:
            raise ValueError(message)
        return update(*args, **settings)

    monkeypatch.setattr(head, "update", failing)
    if ends:
        assert len(list(finder.run())) == 4
        assert finder.curve.has_diverged
    else:
        with pytest.raises(ValueError, match=message):
            list(finder.run())


def test_what_only_hands_vectors_on_is_not_judged(finder, monkeypatch):
    monkeypatch.setattr(finder, "_train", lambda: iter([{"transformer": 1e6, "token_classifier": 2.0}] * 20))
    assert next(finder.run()).loss == 2.0


def test_judged_components(tiny_folder):
    nlp = spacy.blank("en")
    for name in ("shared_backbone", "ptuning_transformer", "tok2vec", "token_classifier", "tagger", "sentencizer"):
        nlp.add_pipe(name)
    assert judged_components(nlp, []) == ["token_classifier", "tagger"]
    assert judged_components(nlp, ["tagger"]) == ["token_classifier"]


@pytest.mark.spacy_transformers
def test_the_component_of_spacy_transformers_is_not_judged():
    nlp = spacy.blank("en")
    nlp.add_pipe("transformer")
    nlp.add_pipe("tagger")
    assert judged_components(nlp, []) == ["tagger"]


def test_too_few_steps_are_refused(config):
    with pytest.raises(PTuningError, match="P407.*steps.*at least 20, got 19"):
        RateFinder(config, steps=19)


def test_another_optimizer_is_refused(config):
    other = changed(config, **{"training.optimizer": {"@optimizers": "Adam.v1", "learn_rate": 0.001}})
    with pytest.raises(PTuningError, match=r"P410.*spacy_ptv2.AdamW.v1.*got 'Adam.v1'.*ner.cfg"):
        RateFinder(other, steps=20)


def test_a_pipeline_without_a_loss_is_refused(config):
    frozen = changed(config, **{"training.frozen_components": ["token_classifier"]})
    with pytest.raises(PTuningError, match=r"P411.*transformer, token_classifier.*frozen_components"):
        RateFinder(frozen, steps=20)
