"""Several trials in one pass: what each would have become alone."""

import json

import pytest
import spacy
from spacy.cli.train import train as train_cli
from spacy.tokens import DocBin
from thinc.api import Config
from typer.testing import CliRunner

from spacy_ptv2.adapters import joint_pass
from spacy_ptv2.cli import app
from spacy_ptv2.errors import PTuningError
from spacy_ptv2.parameter_groups import PARTS
from spacy_ptv2.serialization.models import adapter_shims
from spacy_ptv2.training.trials import check_variants, run_trials, start_trial, train_trials

from ..tiny import small_ner_config

PROMPT = "components.transformer.model.adapter.prompt"
VARIANTS = {
    "short": {f"{PROMPT}.length": 2},
    "long": {
        f"{PROMPT}.length": 5,
        f"{PROMPT}.layers": [1, 2],
        "components.transformer.model.adapter.word_shape_place": "prompt",
    },
    "slow": {"training.optimizer.learn_rates.prompt": 0.001, "system.seed": 3},
}


@pytest.fixture
def config(tiny_folder, corpus) -> Config:
    """The shipped config, small, in one order of the data."""
    changes = {
        "components.transformer.model.runtime.mixed_precision": False,
        "components.transformer.model.windows.batch_pieces": 64,
        "training.batcher.size": 1000,
        "initialize.before_init.epochs": 20,
    }
    return small_ner_config(tiny_folder, corpus, changes)


def tensors(folder):
    nlp = spacy.load(folder)
    return {
        f"{name}.{key}": tensor
        for name, pipe in nlp.pipeline
        for shim in adapter_shims(pipe.model)
        for key, tensor in shim.export_state().items()
    }


def test_each_becomes_what_it_would_alone(config, tmp_path):
    """The same tensors and scores as `spacy train` leaves, to what rounding makes of them in 20 steps."""
    reported = []
    trials = train_trials(config, VARIANTS, tmp_path / "joint", report=lambda t, info: reported.append(t.name))
    assert sorted(reported) == sorted(20 * list(VARIANTS) + list(VARIANTS))  # steps 0 to 20, one a pass
    for name, changes in VARIANTS.items():
        alone = Config().from_str(config.to_str(), interpolate=False, overrides=changes)
        alone.to_disk(tmp_path / f"{name}.cfg")
        train_cli(tmp_path / f"{name}.cfg", tmp_path / name)
        expected, got = tensors(tmp_path / name / "model-last"), tensors(tmp_path / "joint" / name / "model-last")
        assert expected.keys() == got.keys()
        for key, tensor in expected.items():
            assert (got[key] - tensor).abs().max() < 1e-3 * tensor.abs().max(), (name, key)
        metas = [spacy.load(f / "model-best").meta["performance"] for f in (tmp_path / name, tmp_path / "joint" / name)]
        assert metas[0]["ents_f"] == pytest.approx(metas[1]["ents_f"], abs=1e-6)
    scores = [trial.best[0] for trial in trials]
    assert scores == sorted(scores, reverse=True) and scores[0] > 0.5
    summary = json.loads((tmp_path / "joint" / "trials.json").read_text())
    assert [entry["name"] for entry in summary] == [trial.name for trial in trials]
    assert [entry["settings"] for entry in summary] == [VARIANTS[entry["name"]] for entry in summary]
    curve = (tmp_path / "joint" / "short" / "curve.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in curve] == list(range(21))


def test_one_pass_for_all(config, tmp_path, monkeypatch):
    passes = []
    original = joint_pass._read_batch
    monkeypatch.setattr(joint_pass, "_read_batch", lambda e, *args: passes.append(len(e)) or original(e, *args))
    short = Config().from_str(config.to_str(), interpolate=False, overrides={"initialize.before_init.epochs": 1})
    short["training"]["before_to_disk"] = None  # a temperature is fitted to each alone
    train_trials(short, VARIANTS, tmp_path, report=lambda *_: None)
    assert set(passes) == {3}


@spacy.registry.callbacks("tests.count_batches.v1")
def build_count_batches():
    def count(nlp, progress):
        nlp.meta.setdefault("seen", []).append(progress)

    return count


def test_before_update_is_called_once_a_batch_for_each_trial(config, tmp_path):
    """As by `spacy train`, also where a batch comes in parts."""
    overrides = {
        "initialize.before_init.epochs": 2,
        "training.accumulate_gradient": 3,
        "training.before_update": {"@callbacks": "tests.count_batches.v1"},
    }
    counting = Config().from_str(config.to_str(), interpolate=False, overrides=overrides)
    for trial in train_trials(counting, {"a": {}, "b": {}}, tmp_path, report=lambda *_: None):
        assert trial.nlp.meta["seen"] == [{"step": step, "epoch": step} for step in range(3)]


def test_trials_that_share_no_pass_train_all_the_same(config, tmp_path, roberta_folder):
    variants = {"one": {}, "other": {"components.transformer.model.backbone.name": str(roberta_folder)}}
    short = Config().from_str(config.to_str(), interpolate=False, overrides={"initialize.before_init.epochs": 2})
    assert len(train_trials(short, variants, tmp_path, report=lambda *_: None)) == 2


def test_patience_ends_training_when_the_last_trial_stands_still(config, tmp_path):
    overrides = {"training.patience": 3, "training.optimizer.learn_rates": dict.fromkeys(PARTS, 0.0)}
    still = Config().from_str(config.to_str(), interpolate=False, overrides=overrides)
    seen = []
    train_trials(still, {"a": {}, "b": {}}, tmp_path, report=lambda t, info: seen.append(info["step"]))
    assert max(seen) == 3


def test_a_trial_leaves_and_the_others_become_what_they_would(config, tmp_path):
    """The first one, whose config decides on batches and evaluations."""
    short = Config().from_str(config.to_str(), interpolate=False, overrides={"initialize.before_init.epochs": 6})
    seen = []

    def report(trial, info):
        seen.append((trial.name, info["step"]))
        return trial.name == "short" and info["step"] == 2

    train_trials(short, VARIANTS, tmp_path / "left", report=report)
    assert [step for name, step in seen if name == "short"] == [0, 1, 2]
    assert [step for name, step in seen if name == "long"] == list(range(7))
    train_trials(short, VARIANTS, tmp_path / "whole", report=lambda *_: None)
    for name in ("long", "slow"):
        expected, got = (tensors(tmp_path / folder / name / "model-last") for folder in ("whole", "left"))
        for key, tensor in expected.items():
            assert (got[key] - tensor).abs().max() < 1e-4 * tensor.abs().max(), (name, key)


def test_once_all_have_left_training_ends(config, tmp_path):
    seen = []
    trials = train_trials(config, {"a": {}, "b": {}}, tmp_path, report=lambda t, info: not seen.append(info["step"]))
    assert seen == [0, 0] and len(trials) == 2


def test_what_diverges_ends_trials_that_nobody_watches(config, tmp_path):
    head = "training.optimizer.learn_rates.head"
    hopeless = {"training.optimizer.restarts": 0, head: 1e38}
    with pytest.raises(PTuningError, match="P409"):
        train_trials(config, {"good": {}, "bad": hopeless}, tmp_path / "trials", report=lambda *_: None)
    trials = [start_trial(config, *given, tmp_path, -1) for given in (("good", {}), ("bad", hopeless))]
    failed, steps = [], []
    run_trials(
        trials,
        config,
        report=lambda trial, info: steps.append((trial.name, info["step"])),
        report_failure=lambda trial, error: failed.append((trial.name, str(error)[:6])),
    )
    assert failed == [("bad", "[P409]")]
    assert ("good", 20) in steps and ("bad", 20) not in steps


@pytest.mark.parametrize(
    ("variants", "code"),
    [
        ({}, "P721"),
        ([1], "P721"),
        ({"a": 3}, "P721"),
        ({"../a": {}}, "P722.*plain name"),
        ({"a\0": {}}, "P722.*plain name"),
        ({"a" * 300: {}}, "P722.*plain name"),
        ({"a": {"training.batcher.size": 3}}, "P722.*training.batcher.size must be the same"),
        ({"a": {"corpora.train.path": "x"}}, "P722.*corpora.train.path"),
    ],
)
def test_impossible_trials_are_refused(variants, code):
    with pytest.raises(PTuningError, match=code):
        check_variants(variants)


def test_annotating_components_are_refused(config, tmp_path):
    overrides = {"training.annotating_components": ["transformer"]}
    annotating = Config().from_str(config.to_str(), interpolate=False, overrides=overrides)
    with pytest.raises(PTuningError, match="P723.*transformer.*spacy train"):
        train_trials(annotating, {"a": {}}, tmp_path, report=lambda *_: None)


def test_command(config, tmp_path, corpus):
    config.to_disk(tmp_path / "config.cfg")
    (tmp_path / "trials.json").write_text(json.dumps({"a": {f"{PROMPT}.length": 3}, "b": {}}))
    arguments = ["trials", tmp_path / "config.cfg", tmp_path / "trials.json", "--output", tmp_path / "out",
                 "--initialize.before_init.epochs", "2"]  # fmt: skip
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    assert "Best:" in result.output
    nlp = spacy.load(tmp_path / "out" / "a" / "model-best")
    assert len(list(nlp.pipe(DocBin().from_disk(corpus).get_docs(nlp.vocab)))) == 3
    (tmp_path / "trials.json").write_text("{")
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 1
    assert "P721" in result.output
