"""Full fine-tuning trains every weight of the backbone, scores averages, and restores the best."""

import pytest
import torch
from spacy.training.initialize import init_nlp
from thinc.api import fix_random_seed

from spacy_ptv2.comparison.full_fine_tuning import UNUSED, WEIGHTS, FullFineTuning
from spacy_ptv2.comparison.methods import FULL, apply
from spacy_ptv2.serialization.models import adapter_shims
from spacy_ptv2.training.loop import Loop
from spacy_ptv2.training.trainer import resolve_training

from ..tiny import save_tiny_backbone, small_ner_config

pytestmark = pytest.mark.usefixtures("own_backbones")  # their weights change


def state_of(trainer):
    return {name: weights.detach().clone() for name, weights in trainer.weights.items()}


def start(folder, corpus, changes=None):
    config = small_ner_config(folder, corpus, {"initialize.before_init.epochs": 20, **(changes or {})})
    nlp = init_nlp(apply(FULL, config.interpolate()))
    fix_random_seed(0)
    return FullFineTuning(nlp, resolve_training(nlp), 1e-3)


@pytest.mark.parametrize("family", ["bert", "roberta"])  # with word shapes below the first layer, and without
@pytest.mark.parametrize("use_averages", [True, False])
def test_every_weight_trains(tmp_path, corpus, family, use_averages):
    folder = save_tiny_backbone(tmp_path / "backbone", family)
    trainer = start(folder, corpus, {"training.optimizer.use_averages": use_averages})
    before, losses = state_of(trainer), []
    assert not any(UNUSED in name for name in before)
    (shim,) = adapter_shims(trainer.nlp.get_pipe("transformer").model)
    assert shim.encoder.first_layer == 0  # so that all layers have dropout, and no hidden states are kept
    loop = Loop([trainer])
    for _ in loop.steps():
        losses.append(sum(trainer.state.take_losses().values()))
    after = state_of(trainer)
    assert losses[-1] < losses[0] / 2
    assert [name for name in before if before[name].dim() == 2 and torch.equal(before[name], after[name])] == []
    with trainer.averaged():
        averages = state_of(trainer)
    moved = [not torch.equal(averages[name], after[name]) for name in after if after[name].dim() == 2]
    assert all(moved) if use_averages else not any(moved)
    assert all(torch.equal(after[name], now) for name, now in state_of(trainer).items())


def test_the_best_is_restored(tmp_path, corpus):
    trainer = start(save_tiny_backbone(tmp_path / "backbone", "bert"), corpus)
    output, saved, scores = tmp_path / "run", None, {}
    for (report,) in Loop([trainer]).run():
        if report.is_best:
            trainer.save(output, is_best=True)
            with trainer.averaged():
                saved, scores = state_of(trainer), trainer.nlp.evaluate(list(trainer.dev_corpus(trainer.nlp)))
    assert (trainer.best_of(output) / WEIGHTS).is_file()
    for weights in trainer.weights.values():
        weights.data.zero_()
    head = trainer.nlp.get_pipe("token_classifier").model.get_ref("output_layer")
    head.set_param("W", head.get_param("W") * 0)
    trainer.restore_best(output)
    assert all(torch.equal(saved[name], now) for name, now in state_of(trainer).items())
    again = trainer.nlp.evaluate(list(trainer.dev_corpus(trainer.nlp)))
    assert again["ents_f"] == scores["ents_f"] > 0
