"""What a search may vary: which distributions there are, and which are refused."""

import json

import pytest

from spacy_ptv2.errors import PTuningError
from spacy_ptv2.tuning.space import MISSING, Choice, Range, build_distribution, check_space, read_space, value_in

from ..tiny import small_ner_config

RATE = "training.optimizer.learn_rates.lora"


def test_a_file(tmp_path):
    path = tmp_path / "space.json"
    given = {RATE: {"low": 1e-4, "high": 0.01, "log": True}, "a.length": {"low": 4, "high": 16, "step": 4}}
    path.write_text(json.dumps({**given, "a.kind": {"choices": ["x", 1, 1.0, True, None, [2, 3]]}}))
    space = read_space(path)
    assert space[RATE] == Range(1e-4, 0.01, log=True) and not space[RATE].is_whole
    assert space["a.length"] == Range(4, 16, step=4) and space["a.length"].is_whole
    assert space["a.kind"] == Choice(("x", 1, 1.0, True, None, [2, 3]))


@pytest.mark.parametrize("text", ["{", "[1]", "{}", '{"a": NaN}', None])
def test_what_is_no_space(tmp_path, text):
    path = tmp_path / "space.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PTuningError, match=r"P841.*space\.json"):
        read_space(path)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (0.1, "neither a range nor a choice"),
        ({}, "neither a range nor a choice"),
        ({"low": 1}, "neither a range nor a choice"),
        ({"low": 1, "high": 2, "lgo": True}, "neither a range nor a choice"),
        ({"low": 1, "high": 2, "choices": [1, 2]}, "neither a range nor a choice"),
        ({"low": "1", "high": 2}, "are numbers"),
        ({"low": True, "high": 2}, "are numbers"),
        ({"low": 1, "high": 2, "step": "1"}, "are numbers"),
        ({"low": 1, "high": 2, "log": 1}, "true or false"),
        ({"low": 2, "high": 2}, "less than high"),
        ({"low": 3, "high": 2}, "less than high"),
        ({"low": 0, "high": 2, "log": True}, "greater than 0"),
        ({"low": -0.1, "high": 2.0, "log": True}, "greater than 0"),
        ({"low": 1, "high": 9, "log": True, "step": 2}, "not both"),
        ({"low": 1, "high": 9, "step": 0}, "step must be"),
        ({"low": 1, "high": 9, "step": 9}, "step must be"),
        ({"choices": []}, "at least two different"),
        ({"choices": ["a"]}, "at least two different"),
        ({"choices": ["a", "b", "a"]}, "at least two different"),
        ({"choices": "ab"}, "at least two different"),
    ],
)
def test_impossible_distributions(given, problem):
    with pytest.raises(PTuningError, match=f"P842.*{RATE}.*{problem}"):
        build_distribution(RATE, given)


@pytest.mark.parametrize(
    ("given", "value", "known"),
    [
        ({"low": 0.1, "high": 1}, 0.5, 0.5),
        ({"low": 0.1, "high": 1}, 1, 1.0),
        ({"low": 0.1, "high": 1}, 1.1, None),
        ({"low": 0.1, "high": 1}, True, None),
        ({"low": 0.1, "high": 1}, None, None),
        ({"low": 0.1, "high": 1}, MISSING, None),
        ({"low": 1, "high": 9}, 4.0, 4),
        ({"low": 1, "high": 9}, 4.5, None),
        ({"low": 4, "high": 16, "step": 4}, 8, 8),
        ({"low": 4, "high": 16, "step": 4}, 7, None),
        ({"low": 0.0, "high": 0.5, "step": 0.1}, 0.3, 0.3),
        ({"choices": [1, True, "1", [1, 2]]}, 1, "1"),
        ({"choices": [1, True, "1", [1, 2]]}, True, "true"),
        ({"choices": [1, True, "1", [1, 2]]}, "1", '"1"'),
        ({"choices": [1, True, "1", [1, 2]]}, [1, 2], "[1, 2]"),
        ({"choices": ["a", "b"]}, "c", None),
        ({"choices": ["a", None]}, MISSING, None),
    ],
)
def test_which_of_them_a_value_of_the_config_is(given, value, known):
    distribution = build_distribution("a", given)
    got = distribution.known(value)
    assert (type(got), got) == (type(known), known)
    if known is not None:
        assert distribution.value_of(got) == value


@pytest.mark.parametrize(
    ("setting", "given", "code"),
    [
        ("training.max_steps", {"low": 1, "high": 9}, "P843"),
        ("corpora.train.limit", {"low": 1, "high": 9}, "P843.*override"),
        ("training.optimizer.learn_rates", {"choices": [1, 2]}, r"P842.*a block.*learn_rates\.NAME"),
        (RATE, {"low": 0, "high": 1}, "P842.*the config has 0.002.*whole numbers"),
    ],
)
def test_what_does_not_fit_the_config(tiny_folder, corpus, setting, given, code):
    config = small_ner_config(tiny_folder, corpus, {}).interpolate()
    with pytest.raises(PTuningError, match=code):
        check_space({setting: build_distribution(setting, given)}, config)


def test_what_fits_the_config(tiny_folder, corpus):
    config = small_ner_config(tiny_folder, corpus, {}).interpolate()
    settings = {RATE: {"low": 0.0, "high": 1.0}, "training.seed": {"low": 0, "high": 9}, "a.b": {"choices": [1, 2]}}
    check_space({setting: build_distribution(setting, given) for setting, given in settings.items()}, config)
    assert [value_in(config, setting) for setting in settings] == [0.002, 0, MISSING]
    assert value_in(config, f"{RATE}.deeper") is MISSING
