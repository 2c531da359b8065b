"""Our training loop against spaCy's: the same files to the byte, and the same curve."""

import io
import json
import random

import numpy as np
import pytest
import spacy
import torch
from spacy.tokens import DocBin
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as train_by_spacy
from thinc.api import Config, fix_random_seed

from spacy_ptv2.errors import PTuningError
from spacy_ptv2.optimizers.base import StepOptimizer
from spacy_ptv2.optimizers.gradients import CollectedGradients
from spacy_ptv2.parameter_groups import PARTS
from spacy_ptv2.training.loop import Loop
from spacy_ptv2.training.run import train
from spacy_ptv2.training.trainer import Trainer, resolve_training

from .kinds import KINDS, config_of

RESTING = dict.fromkeys(PARTS, 0.0)
ADAM = {"@optimizers": "Adam.v1", "learn_rate": 0.01, "use_averages": True}


@spacy.registry.callbacks("tests.change.v1")
def build_change():
    """Change what is drawn next, and write down when."""

    def change(nlp, progress):
        nlp.meta["notes"] = [*nlp.meta.get("notes", []), progress]
        torch.rand(1)

    return change


@spacy.registry.callbacks("tests.mark.v1")
def build_mark():
    def mark(nlp):
        nlp.meta["description"] = f"saved at {nlp.meta['performance'].get('ents_f')}"
        return nlp

    return mark


def small_config(kind, folder, corpus, tmp_path, changes):
    """Three batches an epoch, four epochs, and an evaluation after each."""
    config, changes = config_of(kind, folder, corpus), dict(changes)
    config["training"]["optimizer"] = changes.pop("optimizer", config["training"]["optimizer"])
    if not changes.pop("is_planned", True):
        config["initialize"]["before_init"] = None
        changes = {"training.optimizer.schedule.total_steps": 9, "training.eval_frequency": 2, **changes}
    else:
        changes = {"initialize.before_init.epochs": 4, **changes}
    curve, sizes = (
        {"paths.curve": str(tmp_path / "curve.jsonl")},
        {"training.batcher.size": 6, "training.batcher.buffer": 2},
    )
    return Config().from_str(config.to_str(), interpolate=False, overrides={**curve, **sizes, **changes})


def files_of(folder):
    """Return what each file holds."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def outcome(by, config, folder):
    """Train, from the same random numbers. RETURNS: Files, curve, what is printed, what the generators give next."""
    fix_random_seed(3)
    curve = folder.parent / "curve.jsonl"
    curve.unlink(missing_ok=True)
    folder.mkdir()
    printed = io.StringIO()
    nlp = init_nlp(config)
    got, path = by(nlp, folder, stdout=printed, stderr=io.StringIO())
    assert got is nlp and path == folder / "model-last"
    points = [json.loads(line) for line in curve.read_text().splitlines()] if curve.exists() else []
    for point in points:
        del point["seconds"], point["peak_memory"], point["scores"]["speed"]
    lines = [line for line in printed.getvalue().splitlines() if str(folder) not in line]
    following = (random.random(), float(np.random.random()), float(torch.rand(())))
    return files_of(folder), points, lines, following


def assert_same_training(config, tmp_path):
    files, curve, printed, following = outcome(train_by_spacy, config, tmp_path / "spacy")
    got_files, *got = outcome(train, config, tmp_path / "ours")
    assert got == [curve, printed, following]
    assert got_files.keys() == files.keys()
    for name, content in files.items():
        assert got_files[name] == content, name
    return curve


SETTINGS = {
    "as shipped": {},
    "accumulated": {"training.accumulate_gradient": 3, "training.batcher.size": 1000},
    "annotating": {"training.annotating_components": ["transformer", "token_classifier"]},
    "epochs": {"is_planned": False, "training.max_epochs": 2, "training.max_steps": 0},
    "streamed": {"is_planned": False, "training.max_epochs": -1, "training.max_steps": 7},
    "impatient": {
        "is_planned": False,
        "training.max_steps": 99,
        "training.patience": 4,
        "training.optimizer.learn_rates": RESTING,
    },
    "another optimizer": {"optimizer": ADAM},
    "callbacks": {
        "training.before_update": {"@callbacks": "tests.change.v1"},
        "training.before_to_disk": {"@callbacks": "tests.mark.v1"},
    },
    "no seed": {"training.seed": None},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_same_as_by_spacy_train(name, tiny_folder, corpus, tmp_path):
    curve = assert_same_training(small_config("listener", tiny_folder, corpus, tmp_path, SETTINGS[name]), tmp_path)
    last = {"accumulated": 8, "epochs": 4, "streamed": 6, "impatient": 4}
    assert curve[-1]["step"] == last.get(name, 12)
    assert (tmp_path / "ours" / "model-best" / "meta.json").is_file()


@pytest.mark.parametrize("kind", KINDS[1:])
def test_the_same_for_every_kind_of_pipeline(kind, tiny_folder, corpus, tmp_path):
    assert_same_training(small_config(kind, tiny_folder, corpus, tmp_path, {}), tmp_path)


def test_components_that_are_frozen(tiny_folder, corpus, tmp_path):
    config = small_config("inline", tiny_folder, corpus, tmp_path, {"initialize.before_init.epochs": 1})
    train(init_nlp(config), tmp_path / "first", stdout=io.StringIO(), stderr=io.StringIO())
    config = small_config("inline", tiny_folder, corpus, tmp_path, {"training.frozen_components": ["tagger"]})
    config["components"]["tagger"] = {"source": str(tmp_path / "first" / "model-last")}
    assert_same_training(config, tmp_path)
    frozen = [tmp_path / name / "model-last" / "tagger" / "model" for name in ("first", "ours")]
    assert frozen[0].read_bytes() == frozen[1].read_bytes()


def test_an_interruption_leaves_what_there_is(tiny_folder, corpus, tmp_path):
    """By hand nothing is said; of an error it is."""
    for error, is_told in ((KeyboardInterrupt, False), (RuntimeError, True)):
        folder, printed, calls = tmp_path / error.__name__, io.StringIO(), []
        nlp = init_nlp(small_config("listener", tiny_folder, corpus, tmp_path, {}))
        update = nlp.get_pipe("tagger").update

        def failing(*args, update=update, calls=calls, error=error, **settings):
            calls.append(1)
            if len(calls) == 6:
                raise error
            return update(*args, **settings)

        nlp.get_pipe("tagger").update = failing
        with pytest.raises(error):
            train(nlp, folder, stdout=printed, stderr=io.StringIO())
        assert ("Aborting" in printed.getvalue()) == is_told
        assert spacy.load(folder / "model-last").meta["performance"]["ents_f"] >= 0.0
        assert spacy.load(folder / "model-best")


def test_without_a_folder_nothing_is_written(tiny_folder, corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nlp = init_nlp(small_config("listener", tiny_folder, corpus, tmp_path, {"paths.curve": None}))
    assert train(nlp, stdout=io.StringIO(), stderr=io.StringIO()) == (nlp, None)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_corpus_is_refused(tiny_folder, corpus, tmp_path):
    nlp = init_nlp(small_config("listener", tiny_folder, corpus, tmp_path, {"is_planned": False}))
    DocBin().to_disk(tmp_path / "empty.spacy")
    nlp.config["paths"]["train"] = str(tmp_path / "empty.spacy")
    with pytest.raises(PTuningError, match="P406.*corpora.train"):
        train(nlp, stdout=io.StringIO(), stderr=io.StringIO())


def test_nothing_is_tried_before_a_step_ends(tiny_folder, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(CollectedGradients, "try_step", lambda *args: pytest.fail("tried"))
    nlp = init_nlp(small_config("heads first", tiny_folder, corpus, tmp_path, {"initialize.before_init.epochs": 1}))
    train(nlp, stdout=io.StringIO(), stderr=io.StringIO())


def test_the_optimizer_knows_every_tensor_by_name(tiny_folder, corpus, tmp_path):
    nlp = init_nlp(small_config("heads first", tiny_folder, corpus, tmp_path, {}))
    loop = Loop([Trainer(nlp, resolve_training(nlp))])
    fix_random_seed(0)
    next(loop.steps())
    optimizer = loop.trainers[0].optimizer
    assert isinstance(optimizer, StepOptimizer)
    assert {name.split("/")[0] for name in optimizer.states} == {"ner", "transformer", "token_classifier", "tagger"}


def test_the_state_says_where_a_training_is(tiny_folder, corpus, tmp_path):
    """Steps, epoch, place in the corpus, how it was shuffled, and what was reported."""
    nlp = init_nlp(small_config("listener", tiny_folder, corpus, tmp_path, {}))
    loop = Loop([Trainer(nlp, resolve_training(nlp))])
    fix_random_seed(0)
    seen = []
    for (report,) in loop.run():
        state = loop.state
        seen.append((state.step, state.epoch, state.n_batches, len(state.shuffles)))
        if report.is_best is not None:
            assert state.pipelines[0].results[-1] == (report.info["score"], state.step)
            assert state.pipelines[0].reported[-1] is report.info and report.info["losses"] != {}
            assert state.pipelines[0].losses == {}
        if state.step == 7:
            break
    assert seen == [(step, step // 3, step % 3 + 1, step // 3 + 1) for step in range(8)]
    assert loop.state.words == report.info["words"] > 0 and loop.state.seconds > 0
