"""`spacy ptv2 train`: how it begins, is interrupted, goes on, and what it says."""

import os
import signal
import subprocess
import sys
import threading

import pytest
import spacy
import torch
from typer.testing import CliRunner

from spacy_ptv2.cli import app
from spacy_ptv2.training.checkpoint import CHECKPOINT, read_checkpoint
from spacy_ptv2.training.trainer import Trainer

from ..conftest import ROOT
from ..tiny import small_ner_config


@pytest.fixture
def arguments(tiny_folder, corpus, tmp_path):
    """The command of a training of 13 steps, with an evaluation after every third."""
    changes = {"training.batcher.size": 6, "initialize.before_init.epochs": 4, "training.batcher.buffer": 2}
    changes["paths.curve"] = str(tmp_path / "curve.jsonl")
    small_ner_config(tiny_folder, corpus, changes).to_disk(tmp_path / "ner.cfg")
    return ["train", str(tmp_path / "ner.cfg"), "--output", str(tmp_path / "out")]


def invoke(*arguments, exit_code=0):
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == exit_code, f"{result.output}\n{result.exception!r}"
    return " ".join((result.stdout if exit_code == 0 else result.stderr).split())


def before_step(number, act, patch):
    """Let something happen before a step is taken."""

    def before_update(trainer, progress, own=Trainer.before_update):
        own(trainer, progress)
        if progress["step"] == number:
            act()

    patch.setattr(Trainer, "before_update", before_update)


def interrupt(arguments, step=4):
    with pytest.MonkeyPatch.context() as patch:
        before_step(step, lambda: os.kill(os.getpid(), signal.SIGINT), patch)
        result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 130
    return " ".join(result.output.split())


def test_a_training_from_start_to_end(arguments, tmp_path):
    assert "Saved pipeline" in invoke(*arguments)
    assert spacy.load(tmp_path / "out" / "model-best").pipe_names == ["transformer", "token_classifier"]
    assert read_checkpoint(tmp_path / "out" / CHECKPOINT).is_finished
    assert "has ended, after 13 steps" in invoke(*arguments, "--resume")
    assert "Saved pipeline" in invoke(*arguments), "what has ended may be trained anew"


def test_resume_without_a_checkpoint_begins(arguments):
    assert "no checkpoint" in invoke(*arguments, "--resume")


def test_ctrl_c_writes_a_checkpoint_and_says_how_to_go_on(arguments, tmp_path):
    said = interrupt(arguments)
    assert "SIGINT after 5 steps" in said and "--resume" in said
    assert spacy.load(tmp_path / "out" / "model-last")
    refused = invoke(*arguments, exit_code=1)
    assert "P811" in refused and "after 5 steps" in refused and "--force" in refused
    changed = invoke(*arguments, "--resume", "--training.dropout", "0.3", exit_code=1)
    assert "P813" in changed and "training.dropout: 0.1 before, 0.3 now" in changed
    assert "from step 5" in invoke(*arguments, "--resume", "--training.accumulate_gradient", "2")


def test_force_begins_anew(arguments, tmp_path):
    interrupt(arguments)
    assert "from step" not in invoke(*arguments, "--force")
    assert read_checkpoint(tmp_path / "out" / CHECKPOINT).n_steps == 13


def test_a_damaged_checkpoint_is_told(arguments, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / CHECKPOINT).write_bytes(b"no checkpoint")
    assert "P301" in invoke(*arguments, "--resume", exit_code=1)
    assert "P301" in invoke(*arguments, exit_code=1)
    assert "Saved pipeline" in invoke(*arguments, "--force")


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError("all")], ids=["gpu", "cpu"]
)
def test_memory_that_runs_out_names_what_to_lower_and_leaves_a_checkpoint(arguments, tmp_path, error):
    def fail():
        raise error

    with pytest.MonkeyPatch.context() as patch:
        before_step(7, fail, patch)
        said = invoke(*arguments, exit_code=1)
    assert "P815" in said and "[training.batcher] size = 6" in said and "accumulate_gradient = 1" in said
    assert read_checkpoint(tmp_path / "out" / CHECKPOINT).n_steps == 7
    assert "from step 7" in invoke(*arguments, "--resume", "--training.accumulate_gradient", "2")


def test_steps_without_finite_gradients_are_counted_and_told(arguments):
    spoiled_gradients = []
    with pytest.MonkeyPatch.context() as patch:
        step = Trainer.step

        def spoiled(trainer):
            if not spoiled_gradients and trainer.optimizer.steps == 3:
                for _, pipe in trainer.trained:
                    for node in pipe.model.walk():
                        for name in node.param_names:
                            if node.has_grad(name):
                                node.get_grad(name).fill(float("nan"))
                                spoiled_gradients.append(name)
            step(trainer)

        patch.setattr(Trainer, "step", spoiled)
        assert "not finite: 1" in invoke(*arguments)
    assert spoiled_gradients


def test_two_trainings_in_one_folder_are_refused(arguments, tmp_path):
    """The second one is told while the first one is under way."""
    told = []
    with pytest.MonkeyPatch.context() as patch:
        command = [sys.executable, "-m", "spacy", "ptv2", *arguments, "--resume"]
        before_step(2, lambda: told.append(subprocess.run(command, capture_output=True, text=True, check=False)), patch)
        invoke(*arguments)
    assert told[0].returncode == 1 and "P779" in told[0].stderr


def test_other_threads_train_without_signals(arguments):
    results = []
    thread = threading.Thread(target=lambda: results.append(CliRunner().invoke(app, arguments)))
    thread.start()
    thread.join()
    assert results[0].exit_code == 0, results[0].output


@pytest.mark.slow
def test_torchrun_starts_several_processes_of_which_one_prints(arguments, tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "spacy"]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
    ended = subprocess.run(
        [*command, "ptv2", *arguments], capture_output=True, text=True, check=False, env=environment, cwd=ROOT
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("Saved pipeline") == 1
    assert read_checkpoint(tmp_path / "out" / CHECKPOINT).is_finished
    assert spacy.load(tmp_path / "out" / "model-best").pipe_names == ["transformer", "token_classifier"]
