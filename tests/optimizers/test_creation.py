"""An optimizer of ours for any pipeline: as its config has it, else as shipped, for the steps of one's own loop."""

import pytest
from spacy.training import Corpus

from spacy_ptv2.errors import PTuningError
from spacy_ptv2.optimizers import create_optimizer
from spacy_ptv2.optimizers.adamw import AdamW
from spacy_ptv2.optimizers.muon import Muon

OURS = {
    "@optimizers": "spacy_ptv2.AdamW.v1",
    "learn_rates": {"prompt": 0.02, "lora": 0.003, "scalar_mix": 0.01, "word_shape": 0.005, "head": 0.004},
    "schedule": {"@schedules": "spacy_ptv2.warmup_linear.v1", "total_steps": "${training.max_steps}", "warmup": 0.5},
}


def test_a_pipeline_without_a_config_gets_the_shipped_one(nlp):
    before = nlp.config.to_str()
    optimizer = create_optimizer(nlp, total_steps=100)
    assert isinstance(optimizer.rule, Muon)
    assert (optimizer.settings.learn_rates["prompt"], optimizer.factor) == (0.01, pytest.approx(1 / 6))
    assert optimizer.learn_rate == pytest.approx(0.01 / 6)  # the highest of any part
    assert nlp.config.to_str() == before


def test_what_the_config_says_of_ours_counts(nlp):
    nlp.config["training"]["optimizer"] = OURS
    optimizer = create_optimizer(nlp, total_steps=8)
    assert isinstance(optimizer.rule, AdamW)
    assert (optimizer.settings.learn_rates["prompt"], optimizer.factor) == (0.02, 0.25)
    nlp.config["training"]["optimizer"] = {
        **OURS,
        "schedule": {"@schedules": "spacy_ptv2.epoch_decay.v1", "steps_per_epoch": 1},
    }
    optimizer = create_optimizer(nlp, total_steps=8, steps_per_epoch=2)
    rates = [optimizer.factor]
    for _ in range(3):
        optimizer.step_schedules()
        rates.append(optimizer.factor)
    assert rates == pytest.approx([1.0, 1.0, 0.95, 0.95])


def test_no_steps_are_refused(nlp):
    with pytest.raises(PTuningError, match="P407.*total_steps"):
        create_optimizer(nlp, total_steps=0)


def test_ten_lines_train(nlp, corpus):
    """The loop of docs/reference/configuration.md."""
    examples = list(Corpus(corpus)(nlp))
    optimizer = nlp.resume_training(sgd=create_optimizer(nlp, total_steps=60))
    losses = [nlp.update(examples, sgd=optimizer, drop=0.1, losses={})["token_classifier"] for _ in range(60)]
    assert losses[-1] < losses[0] / 2
    with nlp.use_params(optimizer.averages):
        assert nlp.evaluate(examples)["ents_f"] > 0.4  # at the shipped rates, which are low for so few steps
