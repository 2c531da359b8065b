"""Training that comes to nothing is noticed, begins anew at lower rates, and then learns."""

import warnings

import numpy as np
import pytest
from spacy.training import Corpus
from spacy.util import fix_random_seed

from spacy_ptv2.errors import PTuningError
from spacy_ptv2.optimizers.adamw import build_adamw_v1
from spacy_ptv2.optimizers.divergence import BAD_STEPS, WINDOW, ChanceLoss, DivergenceWatch
from spacy_ptv2.optimizers.protocol import observe
from spacy_ptv2.optimizers.restarts import LOWER, WARMUP_STEPS
from spacy_ptv2.optimizers.schedules import build_warmup_linear_v1

RATES = {"prompt": 0.03, "lora": 0.002, "scalar_mix": 0.01, "word_shape": 0.005, "head": 0.005}
KEY = (0, "W")


def make_optimizer(warmup=0.0, **settings):
    return build_adamw_v1(RATES, build_warmup_linear_v1(10_000, warmup), **settings)


def step(optimizer, weights, gradient, loss=None, chance=1.0):
    if loss is not None:
        optimizer.watch.note(loss, chance)
    optimizer(KEY, weights, np.full_like(weights, gradient))
    optimizer.step_schedules()


def chance_of(counts):
    chance = ChanceLoss(len(counts))
    chance.counts += counts
    return chance


def test_chance_is_the_entropy_of_the_tags():
    chance = ChanceLoss(4)
    assert chance.nats == 0.0
    chance.add([0, 0, 1])
    chance.add([2])
    assert chance.nats == pytest.approx(-(0.5 * np.log(0.5) + 2 * 0.25 * np.log(0.25)))


def test_chance_is_that_of_all_tags_up_to_now():
    """Those of each component by themselves; where the tags change, of those since then."""
    optimizer = make_optimizer()
    for name, counts in (("a", [2, 1]), ("b", [5, 5]), ("a", [0, 3]), ("a", [1, 1, 1])):
        observe(optimizer, name, 2.0, chance_of(counts))
    state = optimizer.watch.state()
    expected = [chance_of(counts).nats for counts in ([2, 1], [5, 5], [2, 4], [1, 1, 1])]
    assert (state["chances"], state["losses"]) == (pytest.approx(expected), [2.0] * 4)
    assert {name: seen["counts"] for name, seen in state["seen"].items()} == {"a": [1, 1, 1], "b": [5, 5]}
    again = DivergenceWatch()
    again.load_state(state)
    assert again.state() == state


def test_chance_of_choices_is_that_of_their_options():
    """Beside tags, each counts for one."""
    chance = chance_of([2, 2])
    chance.add_choice(10)
    assert chance.nats == pytest.approx((4 * np.log(2) + np.log(10)) / 5)
    chance.include(ChanceLoss.of(chance.state()))
    assert chance.nats == pytest.approx((4 * np.log(2) + np.log(10)) / 5)


def test_losses_that_still_fall_are_waited_for():
    """As those of a hundred tags do from log(100), at whatever rates."""
    watch = DivergenceWatch()
    for step in range(WINDOW):
        watch.note(4.6 * 0.98**step, 1.0)
    assert watch.problem(1.0, watch.problem_of_losses()) is None
    for _ in range(WINDOW):
        watch.note(1.5, 1.0)
    assert "the loss of the last" in watch.problem(1.0, watch.problem_of_losses())


@pytest.mark.parametrize(
    ("loss", "chance", "n_losses", "is_wrong"),
    [
        (0.9, 1.0, 3, False),
        (1.1, 1.0, 3, True),
        (1.1, 1.0, 0.9, False),
        (0.003, 0.0, 3, False),  # no entity seen so far
        (0.3, 0.0, 3, True),
    ],
)
def test_losses_are_wrong_from_chance_on(loss, chance, n_losses, is_wrong):
    watch = DivergenceWatch()
    for _ in range(int(n_losses * WINDOW)):
        watch.note(loss, chance)
    assert (watch.problem(1.0, watch.problem_of_losses()) is not None) == is_wrong


def test_gradients_are_wrong_that_are_no_numbers_several_times_in_a_row():
    watch = DivergenceWatch()
    norms = [np.nan] * (BAD_STEPS - 1) + [1.0] + [np.inf] * BAD_STEPS
    problems = [watch.problem(norm, watch.problem_of_losses()) for norm in norms]
    assert problems[:-1] == [None] * (len(norms) - 1)
    assert f"{BAD_STEPS} steps in a row are inf" in problems[-1]


def test_a_step_without_numbers_is_left_out():
    optimizer, weights = make_optimizer(), np.ones(3, "float32")
    step(optimizer, weights, 1.0)
    before = weights.copy()
    step(optimizer, weights, np.nan)
    np.testing.assert_array_equal(weights, before)
    step(optimizer, weights, 1.0)
    assert (weights < before).all()


def test_a_few_bad_losses_are_no_divergence():
    watch = DivergenceWatch()
    for i in range(3 * WINDOW):
        watch.note({0: 4.0, 5: np.nan}.get(i % 10, 0.5), 1.0)
        assert watch.problem(1.0, watch.problem_of_losses()) is None


@pytest.mark.parametrize("reason", ["gradient", "loss"])
def test_restart(reason):
    optimizer = make_optimizer()
    weights, start = np.ones(3, "float32"), np.ones(3, "float32")
    for _ in range(5 if reason == "gradient" else WINDOW - 1):
        step(optimizer, weights, 1.0, loss=2.0)
    assert (weights < start).all()
    for _ in range(BAD_STEPS - 1 if reason == "gradient" else 0):
        step(optimizer, weights, np.nan, loss=2.0)
    with pytest.warns(UserWarning, match="PW08.*third.*2 restarts left"):
        step(optimizer, weights, np.nan if reason == "gradient" else 1.0, loss=2.0)
    np.testing.assert_array_equal(weights, start)
    assert optimizer.averages == {}  # what was before the restart is in no average
    factor = optimizer.factor
    for i in range(WARMUP_STEPS + 2):  # Adam's steps are as long as the rate where all gradients are equal
        before = weights.copy()
        factor = optimizer.factor
        step(optimizer, weights, 1.0, loss=0.5)
        expected = RATES["head"] * LOWER * factor * min(1.0, (i + 1) / WARMUP_STEPS)
        np.testing.assert_allclose(before - weights, expected, rtol=2e-3)


def test_gradients_count_while_the_rates_rise():
    optimizer, weights = make_optimizer(warmup=0.01), np.ones(3, "float32")
    with pytest.warns(UserWarning, match="PW08.*3 steps in a row are nan"):
        for _ in range(BAD_STEPS):
            step(optimizer, weights, np.nan)


def test_restarts_end():
    optimizer, weights = make_optimizer(restarts=2), np.ones(3, "float32")
    for left in (1, 0):
        with pytest.warns(UserWarning, match=f"PW08.*{left} restarts left"):
            for _ in range(BAD_STEPS):
                step(optimizer, weights, np.inf)
    with pytest.raises(PTuningError, match=r"P409.*2 restarts.*head 0\.00056.*lr-find"):
        for _ in range(BAD_STEPS):
            step(optimizer, weights, np.inf)
    no_better = make_optimizer(restarts=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2 * WINDOW):
            step(no_better, weights, 1.0, loss=2.0)  # it may be the data: that is for the user to see


def test_losses_while_the_rates_rise_do_not_count():
    optimizer, weights = make_optimizer(warmup=0.01), np.ones(3, "float32")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(99 + WINDOW - 1):  # the last of the rising steps is taken at the full rate
            step(optimizer, weights, 1.0, loss=2.0)
    with pytest.warns(UserWarning, match="PW08"):
        step(optimizer, weights, 1.0, loss=2.0)


def test_impossible_restarts_are_refused():
    with pytest.raises(PTuningError, match="P407.*restarts"):
        make_optimizer(restarts=-1)


@pytest.mark.filterwarnings("ignore:.*PW09")
@pytest.mark.exhaustive
def test_a_rate_far_too_high_is_brought_down(nlp, corpus):
    classifier, examples, start = nlp.get_pipe("token_classifier"), list(Corpus(corpus)(nlp)), nlp.to_bytes()
    chance = ChanceLoss(len(classifier.tag_scheme.tags))
    chance.add(tag for example in examples for tag in classifier._gold_tags(example))

    def last_loss(**settings):
        nlp.from_bytes(start)
        fix_random_seed(0)
        rates = {part: 1000 * rate for part, rate in RATES.items()}
        optimizer = build_adamw_v1(rates, build_warmup_linear_v1(600, 0.0), **settings)
        losses = []
        for _ in range(6 * WINDOW):
            losses.append(nlp.update(examples, sgd=optimizer, losses={})["token_classifier"])
            optimizer.step_schedules()
        return np.mean(losses[-20:])

    assert last_loss(restarts=0) > chance.nats
    with pytest.warns(UserWarning, match="PW08.*chance"):
        assert last_loss() < chance.nats
