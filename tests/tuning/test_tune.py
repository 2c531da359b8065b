"""`spacy ptv2 tune`: groups of trials over a tiny backbone, killed and continued, and what is left in the folder."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import spacy
from filelock import FileLock
from spacy.cli.train import train as train_cli
from spacy.util import load_config
from typer.testing import CliRunner

from spacy_ptv2.cli import app
from spacy_ptv2.errors import PTuningError
from spacy_ptv2.tuning import search
from spacy_ptv2.tuning.record import RECORD
from spacy_ptv2.tuning.results import FAILED, FINISHED, PRUNED, best_of, read_results
from spacy_ptv2.tuning.space import build_distribution
from spacy_ptv2.tuning.tune import BEST_CONFIG, TABLE, Tuning, tune
from spacy_ptv2.writing import LOCK

from ..conftest import ROOT
from ..tiny import small_ner_config

HEAD = "training.optimizer.learn_rates.head"
LENGTH = "components.transformer.model.adapter.prompt.length"
SPACE = {
    HEAD: {"low": 1e-4, "high": 0.02, "log": True},
    LENGTH: {"low": 2, "high": 8, "step": 2},
    "components.transformer.model.adapter.scalar_mix": {"choices": [True, False]},
}
SIZES = {"initialize.before_init.epochs": 6, "training.batcher.size": 1000}


@pytest.fixture
def files(tiny_folder, corpus, tmp_path):
    """A config and a space, as files."""
    small_ner_config(tiny_folder, corpus, SIZES).to_disk(tmp_path / "small.cfg", interpolate=False)
    (tmp_path / "space.json").write_text(json.dumps(SPACE))
    return tmp_path


def arguments_of(folder, *options):
    return ["tune", str(folder / "small.cfg"), str(folder / "space.json"), "-o", str(folder / "out"), *options]


def command(folder, *options, exit_code=0):
    result = CliRunner().invoke(app, arguments_of(folder, *options), env={"COLUMNS": "200"})
    assert result.exit_code == exit_code, f"{result.output}\n{result.exception!r}"
    return result.output


def pipelines(folder):
    return sorted(path.parent.name for path in (folder / "out" / "trials").glob("*/model-best"))


def test_command(files):
    """The folder, more trials in it, and a config that trains to what its trial reached."""
    printed = command(files, "--trials", "4", "--group", "2")
    results = read_results(files / "out")
    assert [own.number for own in results] == [0, 1, 2, 3]
    assert results[0].is_shipped and results[0].settings[LENGTH] == 4
    assert {own.state for own in results} == {FINISHED}
    best = best_of(results)
    assert best.score == max(own.score for own in results) > 0
    assert pipelines(files) == [best.name]
    kept = spacy.load(files / "out" / "trials" / best.name / "model-best")
    assert kept.meta["performance"]["ents_f"] == pytest.approx(best.score)
    assert f"Best: {best.name}" in printed
    assert printed.count("MIN LEFT") == 2 and "min for all" in printed
    table = (files / "out" / TABLE).read_text(encoding="utf8")
    assert f"| {best.name} | {100 * best.score:.2f} |" in table and f"`{HEAD}`" in table and "shipped config" in table

    written = load_config(files / "out" / BEST_CONFIG)
    assert written["training"]["optimizer"]["learn_rates"]["head"] == best.settings[HEAD]
    train_cli(files / "out" / BEST_CONFIG, files / "trained")
    performance = spacy.load(files / "trained" / "model-best").meta["performance"]
    assert performance["ents_f"] == pytest.approx(best.score, abs=1e-6)

    curves = {path: path.stat().st_mtime_ns for path in (files / "out" / "trials").glob("*/curve.jsonl")}
    assert "MIN LEFT" not in command(files, "--trials", "4")  # all is there
    assert f"Best: {best.name}" in command(files, "--trials", "3")
    command(files, "--trials", "5")
    assert [own.number for own in read_results(files / "out")] == [0, 1, 2, 3, 4]
    assert all(path.stat().st_mtime_ns == when for path, when in curves.items())


@pytest.mark.slow
def test_killed_it_goes_on(files):
    """Finished trials are kept, and those that were in training are trained again, with the same settings."""
    options = ["--trials", "4", "--group", "2", "--initialize.before_init.epochs", "20"]
    code = "from spacy_ptv2.cli import app; app()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments_of(files, *options)], env=environment, stdout=subprocess.DEVNULL
    )
    folder = files / "out" / "trials"

    def is_in_second_group():
        curve = folder / "trial_003" / "curve.jsonl"
        return curve.is_file() and curve.read_text().count("\n") > 3

    deadline = time.monotonic() + 200
    while not is_in_second_group():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = read_results(files / "out")
    assert [own.number for own in before] == [0, 1]
    journal = [json.loads(line) for line in (files / "out" / "study.jsonl").read_text().splitlines()]
    asked = [entry["trial_id"] for entry in journal if "trial_id" in entry and "param_name" in entry]
    assert {2, 3} <= set(asked)

    command(files, *options)
    after = read_results(files / "out")
    assert after[:2] == before
    assert [own.number for own in after[2:]] == [4, 5]
    assert [own.settings for own in after[2:]] == settings_of_journal(journal, (2, 3))
    assert sorted(path.name for path in folder.iterdir()) == [own.name for own in after]
    assert pipelines(files) == [best_of(after).name]


def settings_of_journal(journal, numbers):
    """What was asked before the kill, by Optuna's own record."""
    found = {number: {} for number in numbers}
    for entry in journal:
        if entry.get("trial_id") in found and "param_name" in entry:
            name, value = entry["param_name"], entry["param_value_internal"]
            is_choice = "choices" in entry["distribution"]
            found[entry["trial_id"]][name] = [True, False][int(value)] if is_choice else value
    return list(found.values())


@pytest.mark.parametrize(
    ("options", "differences"),
    [
        (["--seed", "1"], ["seed:", "-0", "+1"]),
        (["--training.dropout", "0.3"], ["config:", "-dropout = 0.1", "+dropout = 0.3"]),
        ([], ["space:", f'-{LENGTH}: {{"low": 2', f'+{LENGTH}: {{"low": 4']),
    ],
)
def test_another_search_in_the_same_folder_is_refused(files, options, differences):
    short = ["--trials", "1", "--initialize.before_init.epochs", "1"]
    command(files, *short)
    if not options:
        (files / "space.json").write_text(json.dumps({**SPACE, LENGTH: {"low": 4, "high": 8, "step": 2}}))
    printed = " ".join(command(files, *short, *options, exit_code=1).split())
    assert "P845" in printed
    assert all(part in printed for part in differences), printed


def test_one_process_at_a_time(files):
    (files / "out").mkdir()
    with FileLock(files / "out" / LOCK):
        assert "P779" in command(files, exit_code=1)
    assert [path.name for path in (files / "out").iterdir()] == [LOCK]


def test_a_folder_with_other_files_is_refused_and_stays_as_it_is(files):
    (files / "out" / "trials" / "mine").mkdir(parents=True)
    printed = command(files, exit_code=1)
    assert "P848" in printed and "trials" in printed
    assert sorted(path.name for path in (files / "out").rglob("*")) == [LOCK, "mine", "trials"]


@pytest.mark.parametrize("damaged", ["{", "[]", "{}", '{"config": "", "space": {}, "seed": 0}x', '{"config": ""}'])
def test_a_damaged_record_is_refused(files, damaged):
    (files / "out").mkdir()
    (files / "out" / RECORD).write_text(damaged)
    assert "P847" in command(files, exit_code=1)


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        ({"training.droput": {"low": 0.1, "high": 0.2}}, "P806] The config"),
        ({"training.droput": {"low": 0.1, "high": 0.2}}, "Did you mean training.dropout?"),
        ({"training.batcher.size": {"low": 1, "high": 2}}, "P843"),
        ({"training.dropout": {"low": 0.2, "high": 0.1}}, "P842"),
        ({}, "P841"),
    ],
)
def test_nothing_starts_with_a_wrong_space(files, space, expected):
    (files / "space.json").write_text(json.dumps(space))
    printed = " ".join(command(files, exit_code=1).split())
    assert expected in printed
    assert not (files / "out").exists()


def test_without_optuna(files, monkeypatch):
    monkeypatch.setattr(search, "find_spec", lambda name: None)
    assert "P840" in command(files, exit_code=1)
    assert not (files / "out").exists()


class Heard:
    """What a search says."""

    def __init__(self):
        self.groups, self.notes, self.evaluations, self.left = [], [], [], []

    def on_group(self, names, n_left, seconds_left):
        self.groups.append((list(names), n_left))

    def on_evaluation(self, trial, info, seconds_left):
        self.evaluations.append((trial.name, info["step"]))
        self.left.append(seconds_left)

    def on_note(self, text):
        self.notes.append(text)


def tune_here(tiny_folder, corpus, output, space, *, changes=(), n_trials=4, group=2):
    config = small_ner_config(tiny_folder, corpus, {**SIZES, **dict(changes)})
    built = {setting: build_distribution(setting, given) for setting, given in space.items()}
    heard = Heard()
    return tune(Tuning(config, built, n_trials, group), output, heard), heard


def test_what_promises_nothing_leaves_the_pass(tiny_folder, corpus, tmp_path):
    """Rates of next to nothing against the config's: such trials end before the last step, the others do not."""
    rates = "training.optimizer.learn_rates"
    space = {HEAD: {"choices": [0.005, 1e-9]}, f"{rates}.prompt": {"low": 1e-9, "high": 2e-9}}
    changes = {f"{rates}.lora": 0.0, f"{rates}.word_shape": 0.0, "initialize.before_init.epochs": 12}
    results, heard = tune_here(tiny_folder, corpus, tmp_path, space, changes=changes, n_trials=12, group=4)
    pruned = [own for own in results if own.state == PRUNED]
    assert pruned and all(own.curve[-1][0] < 12 for own in pruned)
    assert all(own.curve[-1][0] == 12 for own in results if own.state == FINISHED)
    assert all(own.curve[-1][0] >= 4 for own in pruned)  # not before a third
    assert all(own.number >= 4 for own in pruned)
    assert sum("below the median" in note for note in heard.notes) == len(pruned)
    assert "PW55" in heard.notes[0] and "learn_rates.prompt" in heard.notes[0]  # the config's rate is outside
    assert heard.left[0] is None and heard.left[-1] == 0


def test_what_diverges_or_cannot_be_built_is_noted_and_the_others_go_on(tiny_folder, corpus, tmp_path):
    space = {HEAD: {"choices": [0.005, 1e38]}, LENGTH: {"choices": [4, -1]}}
    changes = {"training.optimizer.restarts": 0, "initialize.before_init.epochs": 20}
    results, heard = tune_here(tiny_folder, corpus, tmp_path, space, changes=changes, n_trials=4, group=4)
    states = {(own.settings[HEAD], own.settings[LENGTH]): own for own in results}
    assert states[0.005, 4].state == FINISHED and states[0.005, 4].curve[-1][0] == 20
    assert all(own.state == FAILED for settings, own in states.items() if settings != (0.005, 4))
    assert "P409" in states[1e38, 4].failure and states[1e38, 4].curve[-1][0] < 20
    assert sum("PW56" in note for note in heard.notes) == 3
    table = (tmp_path / TABLE).read_text(encoding="utf8")
    assert "failed: [P409]" in table


def test_no_more_combinations(tiny_folder, corpus, tmp_path):
    results, heard = tune_here(tiny_folder, corpus, tmp_path, {LENGTH: {"choices": [4, 2]}}, n_trials=5, group=3)
    assert len(results) == 2
    assert "PW57" in heard.notes[-1] and "2 trials of 5" in heard.notes[-1]


def test_if_no_trial_finishes(tiny_folder, corpus, tmp_path):
    changes = {"training.optimizer.restarts": 0, HEAD: 1e38, "initialize.before_init.epochs": 20}
    with pytest.raises(PTuningError, match=r"P846.*P409"):
        tune_here(tiny_folder, corpus, tmp_path, {LENGTH: {"choices": [4, 2]}}, changes=changes, n_trials=2)
    assert not (tmp_path / BEST_CONFIG).exists()


def test_a_config_that_cannot_be_built_is_told_as_such(tiny_folder, corpus, tmp_path):
    """Nothing of it counts as a trial: once it is right, the search begins."""
    with pytest.raises(ImportError, match="no-such"):
        tune_here(
            tiny_folder, corpus, tmp_path, {LENGTH: {"choices": [4, 2]}}, changes={"nlp.lang": "no-such"}, n_trials=2
        )
    assert read_results(tmp_path) == []
    results, _ = tune_here(tiny_folder, corpus, tmp_path, {LENGTH: {"choices": [4, 2]}}, n_trials=1)
    assert len(results) == 1
