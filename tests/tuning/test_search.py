"""The study: what is asked, what is pruned, and that it outlives its process."""

import math

import pytest

from spacy_ptv2.errors import PTuningError
from spacy_ptv2.tuning import search as module
from spacy_ptv2.tuning.results import FAILED, FINISHED, PRUNED
from spacy_ptv2.tuning.search import JOURNAL, LOCK_OF_JOURNAL, Search, check_optuna
from spacy_ptv2.tuning.space import MISSING, Choice, Range

SPACE = {"rate": Range(1e-4, 1.0, log=True), "rank": Range(1, 16), "place": Choice(("pieces", "prompt", None))}
SHIPPED = {"rate": 0.01, "rank": 7, "place": "prompt"}


def open_search(folder, *, space=SPACE, shipped=SHIPPED, seed=0, prunes=True):
    return Search(folder, space, shipped, seed=seed, prunes=prunes)


def score(settings):
    """The best are a rate of .1 and a rank of 12."""
    return 1 - abs(math.log10(settings["rate"]) + 1) / 4 - abs(settings["rank"] - 12) / 32


def end(search, asked, *, steps=(0, 10, 20, 30)):
    """Let trials finish."""
    for one in asked:
        for step in steps:
            search.report(one, step, score(one.settings or SHIPPED) * (step + 1) / 31, step / 10)
        search.finish(one)


def run(search, n, group):
    """RETURNS: The settings of all trials."""
    while search.n_ended < n:
        end(search, search.ask(min(group, n - search.n_ended)))
    return [result.settings for result in search.results()]


def make_folder(folder, name):
    (folder / name).mkdir()
    return folder / name


def test_the_shipped_config_is_the_first_and_all_differ(tmp_path):
    search = open_search(tmp_path)
    asked = search.ask(4)
    assert [one.is_shipped for one in asked] == [True, False, False, False]
    assert asked[0].settings == {}
    assert all(one.settings.keys() == SPACE.keys() for one in asked[1:])
    for one in asked[1:]:
        assert 1e-4 <= one.settings["rate"] <= 1
        assert isinstance(one.settings["rank"], int) and one.settings["place"] in ("pieces", "prompt", None)
    end(search, asked)
    first = search.results()[0]
    assert (first.is_shipped, first.state, first.settings, first.seconds) == (True, FINISHED, SHIPPED, 3)
    assert first.curve[-1] == (30, score(SHIPPED)) and first.best == first.curve[-1]
    settings = run(search, 16, 4)
    assert len({str(own) for own in settings}) == 16


def test_a_seed_says_what_is_asked(tmp_path):
    seeds = {"one": 0, "same": 0, "other": 1}
    runs = [run(open_search(make_folder(tmp_path, name), seed=seed), 8, 4) for name, seed in seeds.items()]
    one, same, other = runs
    assert one == same
    assert one[0] == other[0] == SHIPPED
    assert not [settings for settings in one[1:] if settings in other]


def test_it_finds_what_is_better(tmp_path):
    """In 24 trials it is nearer to the optimum than the config, and than as many random trials are."""
    found = max(map(score, run(open_search(tmp_path), 24, 4)))
    assert found > 0.9 > score(SHIPPED)


def test_what_was_in_training_is_asked_again(tmp_path):
    search = open_search(tmp_path)
    asked = search.ask(4)
    end(search, asked[:1])
    search.report(asked[1], 0, 0.5, 1.0)
    for _ in range(2):  # killed twice
        again = open_search(tmp_path)
        assert again.n_ended == 1
        repeated = again.ask(3)
        assert [one.settings for one in repeated] == [one.settings for one in asked[1:]]
    assert min(one.number for one in repeated) > max(one.number for one in asked)
    end(again, repeated)
    assert [own.settings for own in again.results()] == [SHIPPED, *(one.settings for one in asked[1:])]
    assert [own.curve[0][1] for own in again.results()].count(0.5) == 0


def test_the_shipped_config_is_asked_again_as_such(tmp_path):
    open_search(tmp_path).ask(2)
    again = open_search(tmp_path).ask(2)
    assert [(one.is_shipped, one.settings == {}) for one in again] == [(True, True), (False, False)]


def test_interrupted_it_goes_on_as_it_would_have(tmp_path):
    whole = run(open_search(make_folder(tmp_path, "whole")), 12, 4)
    folder, parts = make_folder(tmp_path, "parts"), None
    for n in (4, 8, 12):
        search = open_search(folder)
        search.ask(4)  # and is killed
        parts = run(open_search(folder), n, 4)
    assert parts == whole


def test_a_line_that_was_cut_off_and_a_lock_that_was_left(tmp_path):
    search = open_search(tmp_path)
    end(search, search.ask(2))
    path = tmp_path / JOURNAL
    content = path.read_bytes()
    path.write_bytes(content + content.splitlines()[-1][:9])
    (tmp_path / LOCK_OF_JOURNAL).write_text("")
    again = open_search(tmp_path)
    assert again.n_ended == 2
    end(again, again.ask(2))
    assert open_search(tmp_path).n_ended == 4


@pytest.mark.parametrize("damage", [b"{\n", b"[1]\n", b'{"op_code": 5}\n'])
def test_a_damaged_journal_is_refused(tmp_path, damage):
    end(search := open_search(tmp_path), search.ask(1))
    content = (tmp_path / JOURNAL).read_bytes()
    (tmp_path / JOURNAL).write_bytes(content + damage + content.splitlines(keepends=True)[-1])
    with pytest.raises(PTuningError, match=r"P847.*study\.jsonl"):
        open_search(tmp_path)


def test_what_is_below_the_median_is_pruned_after_a_third_of_the_steps(tmp_path):
    search = open_search(tmp_path)
    first = search.ask(4)
    for one in first:
        ended = [search.report(one, step, 0.0, 1.0) for step in (0, 10, 20, 30)]
        assert not any(ended)  # nothing to compare with yet
        search.report(one, 40, 0.5, 1.0)
        search.finish(one)
    poor, good = search.ask(2)
    assert [search.report(poor, step, -0.1, 1.0) for step in (0, 10)] == [False, False]
    assert [search.report(good, step, 0.1, 1.0) for step in (0, 10, 20, 30)] == [False] * 4
    assert search.report(poor, 20, -0.1, 1.0)
    search.prune(poor)
    search.finish(good)
    states = [result.state for result in search.results()]
    assert states == [FINISHED] * 4 + [PRUNED, FINISHED]
    never = open_search(tmp_path, prunes=False)
    (one,) = never.ask(1)
    assert not any(never.report(one, step, -1.0, 1.0) for step in range(0, 50, 10))


def test_the_shipped_config_is_never_pruned(tmp_path):
    search = open_search(tmp_path)
    shipped, *others = search.ask(5)
    end(search, others)
    search.study.pruner = search._pruner()
    assert not any(search.report(shipped, step, 0.0, 1.0) for step in (0, 10, 20, 30))
    (one,) = search.ask(1)
    assert search.report(one, 30, 0.0, 1.0)


def test_what_failed_counts_and_says_why(tmp_path):
    search = open_search(tmp_path)
    _, one = search.ask(2)
    search.prune(one, ValueError("too long"))
    (result,) = search.results()
    assert (result.state, result.failure, result.best, result.score) == (FAILED, "too long", None, 0.0)
    assert result.settings == one.settings


def test_a_small_space_ends(tmp_path):
    space = {"a": Choice((1, 2)), "b": Range(0, 1)}
    search = open_search(tmp_path, space=space, shipped={"a": 1, "b": 1})
    asked = search.ask(9)
    assert len(asked) == 4
    assert {(s["a"], s["b"]) for s in (one.settings or {"a": 1, "b": 1} for one in asked)} == {
        (1, 0),
        (1, 1),
        (2, 0),
        (2, 1),
    }
    assert search.ask(1) == []


def test_values_of_the_config_outside_of_the_space(tmp_path):
    """Its trial says nothing of these settings, and TPE chooses them all the same."""
    search = open_search(tmp_path, shipped={"rate": 7.0, "rank": 7, "place": MISSING})
    settings = run(search, 8, 4)
    assert settings[0] == {"rate": 7.0, "rank": 7}
    assert all(own.keys() == SPACE.keys() for own in settings[1:])


def test_steps_that_do_not_reach_the_upper_bound(tmp_path, recwarn):
    search = open_search(tmp_path, space={"rank": Range(1, 8, step=3)}, shipped={"rank": 4})
    assert sorted(one.settings.get("rank", 4) for one in search.ask(3)) == [1, 4, 7]
    assert not recwarn.list


def test_without_optuna(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(PTuningError, match=r"P840.*`pip install 'spacy-ptv2\[tune\]'`"):
        check_optuna()
