"""Ten lines of plain Python train as `spacy train` does: the same weights after the same batches."""

import copy
from contextlib import nullcontext

import numpy as np
import pytest
from spacy.training import Corpus
from spacy.training.initialize import init_nlp
from spacy.training.loop import train_while_improving
from thinc.api import Adam, fix_random_seed

from spacy_ptv2.optimizers.divergence import BAD_STEPS

from ..tiny import ner_model
from .kinds import KINDS, assert_same_weights, config_of, start, weights_of


def by_spacy_train(nlp, optimizer, batches, accumulate=1, **settings):
    """Train by spaCy's own loop. RETURNS: The weights, and their averages."""
    settings = {"exclude": [], "annotating_components": [], **settings}
    loop = train_while_improving(
        nlp, optimizer, ((0, batch) for batch in batches), lambda: (0.0, {}), dropout=0.1, eval_frequency=1000,
        accumulate_gradient=accumulate, patience=0, max_steps=0, before_update=None, **settings,
    )  # fmt: skip
    assert len(list(loop)) == len(batches)
    with nlp.use_params(optimizer.averages):
        averages = weights_of(nlp)
    return weights_of(nlp), averages


@pytest.mark.parametrize("make_optimizer", [None, lambda: Adam(0.003, use_averages=True)], ids=["ours", "thinc's"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_weights_as_by_spacy_train(kind, make_optimizer, tiny_folder, corpus):
    nlp, batches = start(kind, tiny_folder, corpus)
    expected, expected_averages = by_spacy_train(nlp, (make_optimizer or nlp.create_optimizer)(), batches)
    nlp, batches = start(kind, tiny_folder, corpus)
    before = weights_of(nlp)
    optimizer = nlp.resume_training(sgd=(make_optimizer or nlp.create_optimizer)())
    for batch in batches:
        nlp.update(batch, sgd=optimizer, drop=0.1)
    got = weights_of(nlp)
    assert_same_weights(got, expected)
    with nlp.use_params(optimizer.averages):
        assert_same_weights(weights_of(nlp), expected_averages)
    assert any(np.abs(got[key] - before[key]).max() > 1e-3 for key in got)
    assert_same_weights(weights_of(nlp), expected)


@pytest.mark.parametrize("kind", KINDS[:3])
def test_gradients_of_several_batches_make_one_step(kind, tiny_folder, corpus):
    nlp, batches = start(kind, tiny_folder, corpus)
    expected, _ = by_spacy_train(nlp, nlp.create_optimizer(), [batches[0] + batches[1]] * 4, accumulate=3)
    nlp, batches = start(kind, tiny_folder, corpus)
    examples = sorted(batches[0] + batches[1], key=lambda example: len(example.predicted))
    optimizer = nlp.resume_training(sgd=nlp.create_optimizer())
    for _ in range(4):
        for example in examples[:-1]:
            nlp.update([example], sgd=False, drop=0.1)
        nlp.update(examples[-1:], sgd=optimizer, drop=0.1)
    assert_same_weights(weights_of(nlp), expected)


@pytest.mark.parametrize("kind", KINDS[:2])
def test_whatever_is_asked_between_updates(kind, tiny_folder, corpus):
    """Annotations, copies and averages in between change nothing, and are those of the steps up to then."""
    expected = []
    for asks in (False, True):
        nlp, batches = start(kind, tiny_folder, corpus)
        nlp._optimizer = nlp.create_optimizer()
        for step, batch in enumerate(batches):
            nlp.update(batch, drop=0.1)  # with the pipeline's own optimizer
            if asks:
                assert_same_weights(weights_of(nlp), expected[step])
                nlp("John works in New York .")
                assert nlp.to_bytes() and copy.deepcopy(nlp.get_pipe(nlp.pipe_names[0]).model).name
                with nlp.use_params(nlp._optimizer.averages):
                    nlp("John works")
            else:
                expected.append(weights_of(nlp))
    assert_same_weights(weights_of(nlp), expected[-1])


@pytest.mark.parametrize("kind", KINDS[:3])
def test_components_that_are_left_out(kind, tiny_folder, corpus):
    """`exclude`, and pipes that are switched off: what does not train stays, and the others train alike."""
    nlp, batches = start(kind, tiny_folder, corpus)
    nlp.config["training"]["frozen_components"] = ["tagger"]  # `shared_backbone` looks there
    before = weights_of(nlp)
    expected, _ = by_spacy_train(nlp, nlp.create_optimizer(), batches, exclude=["tagger"])
    for way in ("exclude", "disable"):
        nlp, batches = start(kind, tiny_folder, corpus)
        nlp.config["training"]["frozen_components"] = ["tagger"]
        optimizer = nlp.create_optimizer()
        with nlp.select_pipes(disable=["tagger"] if way == "disable" else []):
            for batch in batches:
                nlp.update(batch, sgd=optimizer, drop=0.1, exclude=["tagger"] if way == "exclude" else [])
        assert_same_weights(weights_of(nlp), expected)
    assert all((array == before[key]).all() for key, array in expected.items() if key[0] == "tagger")
    assert not all((array == before[key]).all() for key, array in expected.items())


def test_a_component_that_annotates_in_between(tiny_folder, corpus):
    nlp, batches = start("listener", tiny_folder, corpus)
    optimizer = nlp.create_optimizer()
    history = [
        nlp.update(batch, sgd=optimizer, annotates=["transformer", "token_classifier"], losses={})
        for batch in batches * 4
    ]
    assert history[-1]["token_classifier"] < history[0]["token_classifier"] / 2


@pytest.mark.parametrize("kind", KINDS[:3])
def test_batches_that_a_head_learns_nothing_from(kind, tiny_folder, corpus):
    """spaCy's `ner` leaves out examples without entities: it hands no gradient back, and holds nobody up."""
    results = []
    for by_train in (True, False):
        config = config_of(kind, tiny_folder, corpus)
        block = config["components"].pop("token_classifier")["model"]["tok2vec"]
        config["components"]["ner"] = {"factory": "ner", "model": ner_model(block)}
        config["nlp"]["pipeline"] = [name.replace("token_classifier", "ner") for name in config["nlp"]["pipeline"]]
        nlp = init_nlp(config)
        examples = list(Corpus(corpus)(nlp))
        for example in examples[1:2]:
            example.reference.set_ents([], default="missing")
        examples.sort(key=lambda example: len(example.predicted))  # as spaCy's loop does with each batch
        missing = [example for example in examples if not example.reference.ents]
        batches = [examples[:1], missing, missing, examples, missing, examples[2:], missing]
        fix_random_seed(7)
        optimizer = nlp.create_optimizer()
        if by_train:
            results.append(by_spacy_train(nlp, optimizer, batches)[0])
            continue
        for batch in batches:
            nlp.update(batch, sgd=optimizer, drop=0.1)
        optimizer.step()  # where a head gave nothing back in the last batch, the common pass waits for it
        results.append(weights_of(nlp))
    assert_same_weights(*results)


def test_rehearsal_reaches_the_prompt(tiny_folder, corpus):
    nlp, batches = start("inline", tiny_folder, corpus)
    optimizer = nlp.resume_training(sgd=nlp.create_optimizer())
    for batch in batches[:3]:
        nlp.update(batch, sgd=optimizer)
    before = weights_of(nlp)
    nlp.rehearse(batches[1], sgd=optimizer, exclude=["token_classifier"])
    changed = {key[0] for key, array in weights_of(nlp).items() if not (array == before[key]).all()}
    assert changed == {"tagger"}


@pytest.mark.parametrize("kind", KINDS[:3])
def test_the_seed_that_is_set_last_decides(kind, tiny_folder, corpus):
    nlp, batches = start(kind, tiny_folder, corpus)
    saved, results = nlp.to_bytes(), []
    for seed in (1, 1, 2):
        nlp.from_bytes(saved)
        optimizer = nlp.create_optimizer()
        fix_random_seed(seed)
        for batch in batches[:3]:
            nlp.update(batch, sgd=optimizer)  # no dropout in the heads
        results.append(weights_of(nlp))
    first, again, other = results
    assert all((first[key] == again[key]).all() for key in first)
    assert any(np.abs(first[key] - other[key]).max() > 1e-4 for key in first)


@pytest.mark.parametrize("kind", KINDS[:2])
@pytest.mark.parametrize("own", [True, False])
def test_a_batch_without_a_finite_loss_is_left_out(kind, own, tiny_folder, corpus, tmp_path):
    nlp, batches = start(kind, tiny_folder, corpus)
    nlp.remove_pipe("tagger")  # spaCy's raises E910
    optimizer = nlp.create_optimizer() if own else Adam(0.003)
    head = nlp.get_pipe("token_classifier")
    loss_of, losses = head._loss_of, {}
    for step, batch in enumerate(batches):
        bad = step in (3, 5)
        spoilt = lambda *args: (np.nan, [array * np.nan for array in loss_of(*args)[1]])  # noqa: E731
        head._loss_of = spoilt if bad else loss_of
        before = weights_of(nlp)
        with pytest.warns(UserWarning, match="PW10|PW12") if bad and not (own and step == 5) else nullcontext():
            nlp.update(batch, sgd=optimizer, losses=losses, drop=0.1)
            _ = optimizer.averages
        changed = [key for key, array in weights_of(nlp).items() if not (array == before[key]).all()]
        assert bool(changed) is not bad or (not own and changed[0][0] == "transformer")  # zeros, with thinc's momentum
    assert all(map(np.isfinite, losses.values()))
    nlp.meta["performance"] = {f"{name}_loss": loss for name, loss in losses.items()}
    nlp.to_disk(tmp_path / "model")
    if own:
        assert optimizer.n_left_out == 2


@pytest.mark.parametrize("kind", KINDS[:3])
def test_a_restart_resets_what_had_no_gradient_in_its_step(kind, tiny_folder, corpus):
    nlp, batches = start(kind, tiny_folder, corpus)
    before, optimizer = weights_of(nlp), nlp.create_optimizer()
    for batch in batches[:3]:
        nlp.update(batch, sgd=optimizer)
    assert all(not (array == before[key]).all() for key, array in weights_of(nlp).items())
    weights = np.ones(3, "float32")
    for _ in range(BAD_STEPS):  # of a tensor that is none of the pipeline's
        optimizer((0, "W"), weights, np.full(3, np.nan, "float32"))
        with pytest.warns(UserWarning, match="PW08") if _ == BAD_STEPS - 1 else nullcontext():
            optimizer.step_schedules()
    assert all((array == before[key]).all() for key, array in weights_of(nlp).items())
    assert optimizer.averages == {} and not optimizer.states
