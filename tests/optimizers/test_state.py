"""The state of an optimizer, taken out and put into another one: training goes on as if nothing had been between."""

import json
import warnings

import numpy as np
import pytest
from spacy.training import Corpus
from spacy.training.initialize import init_nlp
from thinc.api import fix_random_seed

from spacy_ptv2.errors import PTuningError
from spacy_ptv2.optimizers import create_optimizer
from spacy_ptv2.optimizers.adamw import build_adamw_v1
from spacy_ptv2.optimizers.divergence import BAD_STEPS, WINDOW, ChanceLoss
from spacy_ptv2.optimizers.parameters import parameters_of_pipeline
from spacy_ptv2.optimizers.protocol import drive, introduce, observe
from spacy_ptv2.optimizers.schedules import build_epoch_decay_v1

from ..tiny import build_pipeline
from ..training.kinds import KINDS, config_of, weights_of

RATES = {"prompt": 0.03, "lora": 0.002, "scalar_mix": 0.01, "word_shape": 0.005, "head": 0.002}
HALF = 10


def take_steps(nlp, optimizer, corpus, seed):
    """Ten steps on a small corpus."""
    examples = list(Corpus(corpus)(nlp))
    fix_random_seed(seed)
    for batch in ([examples[:1], examples[1:], examples[::2]] * HALF)[:HALF]:
        nlp.update(batch, sgd=optimizer, drop=0.1)


def averages_of(nlp, optimizer):
    with nlp.use_params(optimizer.averages):
        return weights_of(nlp)


def assert_equal(got, expected):
    assert got.keys() == expected.keys()
    for key, array in expected.items():
        np.testing.assert_array_equal(got[key], array, err_msg=str(key))


def saved(optimizer):
    """The state as it comes from files: copies of the arrays, and JSON."""
    arrays, values = optimizer.state()
    return {name: array.copy() for name, array in arrays.items()}, json.loads(json.dumps(values))


@pytest.mark.parametrize("kind", KINDS)
def test_training_goes_on_to_the_bit(kind, tiny_folder, corpus):
    results = []
    for interrupted in (False, True):
        nlp = init_nlp(config_of(kind, tiny_folder, corpus))
        optimizer = create_optimizer(nlp, total_steps=2 * HALF)
        take_steps(nlp, optimizer, corpus, seed=1)
        if interrupted:
            weights, (arrays, values) = nlp.to_bytes(), saved(optimizer)
            nlp = init_nlp(config_of(kind, tiny_folder, corpus)).from_bytes(weights)
            optimizer = create_optimizer(nlp, total_steps=2 * HALF)
            optimizer.load_state(arrays, values)
            assert_equal(saved(optimizer)[0], arrays)
        take_steps(nlp, optimizer, corpus, seed=2)
        results.append((weights_of(nlp), averages_of(nlp, optimizer), saved(optimizer)))
    (weights, averages, state), (weights_after, averages_after, state_after) = results
    assert_equal(weights_after, weights)
    assert_equal(averages_after, averages)
    assert_equal(state_after[0], state[0])
    assert state_after[1] == state[1]


def test_averages_are_there_before_the_next_step(nlp, tiny_folder, corpus):
    optimizer = create_optimizer(nlp, total_steps=HALF)
    take_steps(nlp, optimizer, corpus, seed=0)
    expected, (arrays, values) = averages_of(nlp, optimizer), saved(optimizer)
    other = build_pipeline(tiny_folder, corpus).from_bytes(nlp.to_bytes())
    optimizer = create_optimizer(other, total_steps=HALF)
    optimizer.load_state(arrays, values)
    assert_equal(averages_of(other, optimizer), expected)


def make_optimizer(nlp, **settings):
    optimizer = build_adamw_v1(RATES, build_epoch_decay_v1(5), **settings)
    introduce(optimizer, nlp, parameters_of_pipeline)
    drive(optimizer)
    return optimizer


@pytest.mark.parametrize("reason", ["gradient", "loss"])
def test_a_restart_after_loading_goes_back_to_the_first_start(reason, nlp):
    """What tells of divergence is remembered, and tensors that get no gradient any more go back as well."""
    node = nlp.get_pipe("token_classifier").model.get_ref("output_layer")
    keys = [(node.id, name) for name in ("W", "b")]
    begun = [node.get_param(name).copy() for _, name in keys]
    optimizer = make_optimizer(nlp)

    seen = ChanceLoss(3)
    seen.add([0, 1, 2])

    def step(chosen, gradient):
        for key in chosen:
            optimizer(key, node.get_param(key[1]), np.full_like(node.get_param(key[1]), gradient))
        observe(optimizer, "head", 2.0, seen)
        optimizer.step_schedules()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2 if reason == "gradient" else WINDOW - 1):
            step(keys, 0.1)
        for _ in range(BAD_STEPS - 1 if reason == "gradient" else 0):
            step(keys, np.nan)
    assert all((node.get_param(name) != start).any() for (_, name), start in zip(keys, begun, strict=True))
    arrays, values = saved(optimizer)
    optimizer = make_optimizer(nlp)
    optimizer.load_state(arrays, values)
    with pytest.warns(UserWarning, match="PW08.*2 restarts left"):
        step(keys[:1], np.nan if reason == "gradient" else 0.1)
    for (_, name), start in zip(keys, begun, strict=True):
        np.testing.assert_array_equal(node.get_param(name), start)


def test_a_state_ends_the_step_and_is_a_copy(nlp):
    key, weights = (0, "W"), np.ones(3, "float32")
    optimizer = make_optimizer(nlp)
    optimizer(key, weights, np.ones(3, "float32"))
    arrays, values = optimizer.state()
    assert values["steps"] == 1 and values["tensor_steps"] == {"others/0.W": 1}
    assert set(arrays) == {f"{kind}/others/0.W" for kind in ("start", "average", "rule/first", "rule/second")}
    for array in arrays.values():
        array[:] = 7.0
    assert not (weights == 7.0).any() and not any((array == 7.0).any() for array in optimizer.state()[0].values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rule": "muon"}, "P415.*'rule' to be 'adamw', got 'muon'"),
        ({"averages": False}, "P415.*'averages' to be True, got False"),
        ({"steps": None}, "P415.*'steps'"),
    ],
)
def test_the_state_of_another_optimizer_is_refused(change, message, nlp):
    arrays, values = make_optimizer(nlp).state()
    changed = {name: value for name, value in {**values, **change}.items() if value is not None}
    with pytest.raises(PTuningError, match=message):
        make_optimizer(nlp).load_state(arrays, changed)


@pytest.mark.parametrize("name", ["ner/3.W", "token_classifier/9.W", "W"])
def test_the_state_of_another_pipeline_is_refused(name, nlp):
    _, values = make_optimizer(nlp).state()
    with pytest.raises(PTuningError, match=rf"P416.*'average/{name}'.*token_classifier/"):
        make_optimizer(nlp).load_state({f"average/{name}": np.zeros((2, 2), "float32")}, values)


def test_a_tensor_of_another_shape_is_refused(nlp):
    _, values = make_optimizer(nlp).state()
    names = make_optimizer(nlp).names.known()
    with pytest.raises(PTuningError, match=r"P416.*shape \(1, 1\)"):
        make_optimizer(nlp).load_state({f"start/{max(names)}": np.zeros((1, 1), "float32")}, values)
