"""The benchmarks of training run and print their rows; their figures are another matter."""

import os

import pytest
import torch
import typer
from thinc.api import require_cpu
from transformers import AutoModel
from typer.testing import CliRunner

from benchmarks.lib.torch_loops import PeftStates, RowPromptStates
from benchmarks.lib.training import prompt_config, save_sentences
from benchmarks.memory import training_memory
from benchmarks.speed import checkpoints, epoch, gpu_training, training_step

from ..tiny import save_tiny_backbone

FEW = ("--sentences", "30", "--repeats", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny BERT with room for the sentences of Wikigold."""
    return save_tiny_backbone(tmp_path_factory.mktemp("backbone") / "bert", "bert", max_position_embeddings=512)


def run(module, folder, path, *arguments):
    app = typer.Typer()
    app.command()(module.main)
    arguments = [*FEW, "--backbone", str(folder), "--results", str(path), *arguments]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    assert path.read_text(encoding="utf8").count("## ") == 1
    assert result.stdout.strip() in path.read_text(encoding="utf8")
    return result.stdout


@pytest.mark.slow
@pytest.mark.spacy_transformers
@pytest.mark.exhaustive
def test_training_step(folder, tmp_path):
    printed = run(training_step, folder, tmp_path / "results.md", "--lengths", "2,64")
    tuned = ("as shipped, all layers", "P=64, top third", "as shipped", "P=2", "rank 7")
    peers = ("PEFT, P=2", "prompt per row, P=64", "PEFT, rank 7")
    for row in ("fine-tuning", *(f"ours, {what}" for what in tuned), *peers):
        assert f" {row} " in printed
    assert "past_key_values" not in printed
    (beside,) = [line for line in printed.splitlines() if "ours, rank 7 " in line and " fp32 " in line]
    assert beside.count("(") == 2  # to fine-tuning, and to PEFT's


@pytest.mark.spacy_transformers
def test_a_family_without_past_key_values_has_no_peers(tmp_path):
    folder = save_tiny_backbone(tmp_path / "mpnet", "mpnet", max_position_embeddings=512)
    printed = run(training_step, folder, tmp_path / "results.md", "--lengths", "2")
    peers = [line for line in printed.splitlines() if "PEFT, P=2" in line or "prompt per row" in line]
    assert peers and all("takes no past_key_values" in line for line in peers)


@pytest.mark.gpu
@pytest.mark.spacy_transformers
def test_training_on_a_gpu(folder, tmp_path):
    printed = run(gpu_training, folder, tmp_path / "results.md", "--words", "160")
    require_cpu()
    assert printed.count(" 160 ") == 6
    assert "ours, as shipped, top third, warm cache" in printed


@pytest.mark.spacy_transformers
def test_epoch(folder, tmp_path, monkeypatch):
    times = {"all": 2.0, "forward": 0.9, "backward": 0.7}
    monkeypatch.setattr(epoch, "run", lambda config, folder, profile=False: times)
    printed = run(epoch, folder, tmp_path / "results.md", "--profile")
    rows = [line.split() for line in printed.splitlines() if line.startswith("ours as shipped ")]
    assert rows[0][3:] == ["1.00", "(1.00", "to", "1.00)"]
    assert rows[1][3:] == ["45.0%", "35.0%", "80.0%"]


@pytest.mark.slow
@pytest.mark.exhaustive
def test_the_clock_of_an_epoch(folder, tmp_path):
    train = save_sentences(None, 60, tmp_path)
    times = epoch.run(prompt_config(train, str(folder)), tmp_path, profile=True)
    assert times["steps"] >= 2
    assert times["forward"] > 0 and times["backward"] > 0
    assert times["forward"] + times["backward"] < times["all"]


@pytest.mark.slow
@pytest.mark.exhaustive
def test_checkpoints(folder, tmp_path):
    lines = run(checkpoints, folder, tmp_path / "results.md", "--steps", "4", "--evaluate-every", "2").splitlines()
    assert [line.split("  ")[0] for line in lines[2:4]] == ["checkpoint", "model-best, model-last"]
    assert "4 steps in" in lines[-1]


@pytest.mark.slow
@pytest.mark.spacy_transformers
def test_training_memory(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(training_memory, "in_fresh_process", lambda function, *arguments: function(*arguments))
    printed = run(training_memory, folder, tmp_path / "results.md", "--steps", "1")
    assert len(printed.splitlines()) == 2 + 5
    assert "fine-tuning " in printed and "ours as shipped " in printed


def test_fresh_processes():
    assert training_memory.in_fresh_process(os.getpid) != os.getpid()


def test_the_prompt_per_row_is_what_peft_computes(folder):
    """The loop of our own and the library's give the same states for the same numbers."""
    model = AutoModel.from_pretrained(folder).eval()
    peft, rowwise = (kind(model, length=3, bfloat16=False) for kind in (PeftStates, RowPromptStates))
    peft.eval()
    with torch.no_grad():
        rowwise.embedding.weight.copy_(peft.model.prompt_encoder["default"].embedding.weight)
    ids, mask = torch.tensor([[1, 9, 8, 2], [1, 7, 2, 0]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])

    class Batch:
        pieces = type("Pieces", (), {"ids": ids, "mask": mask})
        wanted = torch.arange(7)

    with torch.no_grad():
        torch.testing.assert_close(rowwise(Batch), peft(Batch))
