"""Fine-tuning trains the backbone, and the table of accuracy takes the best rate on dev and repeats nothing."""

import json

import pytest
import torch
import typer
from spacy.cli._util import app
from spacy.util import load_config
from transformers import AutoModel

from benchmarks.accuracy import accuracy, fine_tuning
from benchmarks.lib.training import count_parts
from spacy_ptv2.parameter_groups import PARTS
from spacy_ptv2.serialization.models import adapter_shims

from ..tiny import save_tiny_backbone, small_ner_config

BATCHES = {"training.batcher.size": 4, "training.batcher.buffer": 1}  # so that an epoch has three


@pytest.fixture
def folder(tmp_path, own_backbones):
    """A backbone that no other test has, because fine-tuning changes the one in memory."""
    return save_tiny_backbone(tmp_path / "backbone", "bert")


@pytest.mark.parametrize("plain", [False, True])
def test_fine_tuning(folder, corpus, tmp_path, plain):
    config = tmp_path / "ner.cfg"
    small_ner_config(folder, corpus, {"initialize.before_init.epochs": 12}).to_disk(config)
    config = fine_tuning.fine_tuning_config(config, {}, plain=plain)
    loop = fine_tuning.FineTuning(config, rate=1e-3)
    before, bytes_before = loop.state()
    assert len(list(loop.epochs())) == 12
    after, bytes_after = loop.state()
    with loop.averaged():
        averages, bytes_averages = loop.state()
    assert (bytes_averages == bytes_after) == plain
    for start, last, average in zip(before, after, averages, strict=True):
        away = torch.dist(average, last)
        assert away == 0 if plain else 0 < away < torch.dist(start, last) / 2
    assert all(torch.equal(a, b) for a, b in zip(after, loop.state()[0], strict=True))
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True) if b.dim() == 2)
    assert loop.losses[-1] < loop.losses[0] / 2
    parts = count_parts(loop.nlp)
    assert set(parts) == ({"word_shape", "head"} if plain else set(PARTS) - {"prompt", "lora"})
    (shim,) = adapter_shims(loop.nlp.get_pipe("transformer").model)
    word_shape = shim.encoder.word_shape.weight
    assert torch.count_nonzero(word_shape).item() == (0 if plain else pytest.approx(word_shape.numel(), rel=0.6))
    loop.restore((before, bytes_before))
    assert all(torch.equal(a, b) for a, b in zip(before, loop.state()[0], strict=True))


@pytest.mark.parametrize(("evaluations", "seconds_seen"), [(0, [7.0, 14.0]), (6, [7.0, 14.0, 21.0, 28.0, 35.0, 42.0])])
def test_the_curve_counts_evaluations(folder, corpus, tmp_path, monkeypatch, evaluations, seconds_seen):
    config = tmp_path / "ner.cfg"
    small_ner_config(folder, corpus, BATCHES).to_disk(config)
    seconds = 0.0

    def score(nlp, path):
        nonlocal seconds
        seconds += 7.0
        return 1 / seconds  # the first is the best

    monkeypatch.setattr(fine_tuning, "perf_counter", lambda: seconds)
    monkeypatch.setattr(fine_tuning, "score", score)
    fine_tuning.main(config, tmp_path / "run", corpus, corpus, corpus, str(folder), epochs=2, evaluations=evaluations)
    outcome = json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf8"))
    assert [point["seconds"] for point in outcome["curve"]] == seconds_seen
    assert (outcome["dev"], outcome["test"]) == (1 / 7, 1 / (seconds_seen[-1] + 7))


def test_table(folder, corpus, tmp_path, monkeypatch, capsys):
    called = []

    def finish(task, run, output, log):
        called.append(run)
        dev = {"1e-4": 0.5, "2e-4": 0.7}.get(run.rate, 0.6) + run.seed / 10
        curve = [{"seconds": 0, "score": 0.0}, {"seconds": 40 if run.rate else 20, "score": dev - 0.009}]
        curve.append({"seconds": 99, "score": dev})
        parts = {"prompt": 1200} if not run.rate else {"backbone": 9000, "head": 99}
        (output / "result.json").write_text(
            json.dumps({"dev": dev, "test": dev / 2, "parameters": parts, "curve": curve})
        )

    monkeypatch.setattr(accuracy, "train_by_spacy", finish)
    monkeypatch.setattr(accuracy, "fine_tune", finish)
    results = tmp_path / "results.md"
    options = {"seeds": "0,1", "rates": "1e-4,2e-4", "ways": "adapter,plain", "results": results}
    for _ in range(2):
        accuracy.main(tmp_path / "runs", corpus, corpus, corpus, backbone=str(folder), **options)
    assert [run.name for run in called] == ["adapter-0", "plain-1e-4-0", "plain-2e-4-0", "adapter-1", "plain-2e-4-1"]
    written = results.read_text(encoding="utf8")
    rows = [" ".join(line.split()) for line in written.splitlines()]
    assert "deep prompts + LoRA .6500 (.6000 .7000) .3250 (.3000 .3500) 1,200 0.50 never" in rows
    assert "fine-tuning with our head, rate 2e-4 .7500 (.7000 .8000) .3750 (.3500 .4000) 9,099 1.00 1.00" in rows
    assert "adapter-1: dev 0.7000, test 0.3500" in capsys.readouterr().err


def test_times_to_the_best_of_fine_tuning_go_by_the_seed():
    def outcome(**scores):
        curve = [{"seconds": int(name[1:]), "score": score} for name, score in scores.items()]
        return {"dev": 0.9, "test": 0.9, "parameters": {}, "curve": curve}

    prompts = [outcome(s10=0.80, s30=0.90), outcome(s10=0.70, s50=0.90)]
    plain = [outcome(s40=0.79, s80=0.80), outcome(s40=0.79, s80=0.85)]
    lines = accuracy.summary({"adapter": prompts, "plain": plain}, {"adapter": "", "plain": "1e-4"}).splitlines()
    assert lines[0].endswith("time to within 1   to the best of plain")
    # (30 + 50) / (40 + 80) until within a point of their own, (10 + 50) / (80 + 80) until fine-tuning's
    assert lines[2].split()[-2:] == ["0.67", "0.38"]
    assert lines[3].split()[-2:] == ["1.00", "1.00"]


def test_an_unknown_way_is_refused(corpus, tmp_path):
    with pytest.raises(typer.BadParameter, match="adapter, features, plain, spacy-transformers, got lora"):
        accuracy.main(tmp_path, corpus, corpus, corpus, ways="lora")


@pytest.fixture
def spacy_runs(monkeypatch):
    """`spacy train` runs in this process, so that nothing is imported again."""
    monkeypatch.setattr(accuracy, "call", lambda arguments, log: app(arguments[1:], standalone_mode=False))


def train_once(config, folder, corpus, output, run):
    """Train a run with 3 evaluations. RETURNS: Its outcome, and the config that it trained by."""
    sizes = {"epochs": 4, "sentences": 999, "evaluations": 3, "gpu_id": -1}  # the 4 epochs are those of fine-tuning
    task = accuracy.Task(corpus, corpus, corpus, config, str(folder), **sizes)
    output.mkdir()
    with (output / "log.txt").open("w", encoding="utf8") as log:
        accuracy.train_by_spacy(task, run, output, log)
    trained = load_config(output / "model-best" / "config.cfg", interpolate=True)
    assert trained["training"]["seed"] == run.seed
    assert trained["corpora"]["train"]["limit"] == 999
    return json.loads((output / "result.json").read_text(encoding="utf8")), trained


def test_prompts_are_trained_by_spacy(folder, corpus, tmp_path, spacy_runs):
    config = tmp_path / "ner.cfg"
    small_ner_config(folder, corpus, {**BATCHES, "initialize.before_init.epochs": 1}).to_disk(config)
    outcome, trained = train_once(config, folder, corpus, tmp_path / "run", accuracy.Run("adapter", 5))
    assert trained["initialize"]["before_init"]["epochs"] == 1
    assert set(outcome["parameters"]) == set(PARTS)
    assert len(outcome["curve"]) == 1 + 3  # and one before the first step
    assert outcome["dev"] == outcome["test"] == max(point["score"] for point in outcome["curve"])


@pytest.mark.spacy_transformers
def test_spacy_transformers_trains_every_number_of_the_backbone(folder, corpus, tmp_path, spacy_runs):
    run = accuracy.Run("spacy-transformers", 5, "2e-4")
    outcome, trained = train_once(tmp_path / "no.cfg", folder, corpus, tmp_path / "run", run)
    assert trained["training"]["optimizer"]["learn_rate"]["initial_rate"] == 2e-4
    planned = trained["initialize"]["before_init"]
    assert (planned["epochs"], planned["evaluations_per_epoch"]) == (4, 1)
    whole = AutoModel.from_pretrained(folder).num_parameters()
    assert set(outcome["parameters"]) == {"backbone", "head"}
    assert outcome["parameters"]["backbone"] == whole
    assert len(outcome["curve"]) == 1 + 4


def test_fine_tuning_is_told_all_that_the_runs_have_in_common(corpus, tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(accuracy, "call", lambda arguments, log: called.extend(arguments))
    task = accuracy.Task(corpus, corpus, corpus, tmp_path, "b", epochs=2, sentences=5, evaluations=7, gpu_id=0)
    accuracy.fine_tune(task, accuracy.Run("plain", 4, "1e-4"), tmp_path, None)
    options = dict(zip(called[6:-1:2], called[7:-1:2], strict=True))
    expected = {"--backbone": "b", "--rate": "1e-4", "--epochs": "2", "--sentences": "5", "--evaluations": "7"}
    assert options == {**expected, "--seed": "4", "--gpu-id": "0"}
    assert called[0] == "benchmarks.accuracy.fine_tuning"
    assert called[-1] == "--plain"


def test_a_failed_run_says_where_its_log_is(tmp_path):
    with (tmp_path / "log.txt").open("w", encoding="utf8") as log, pytest.raises(SystemExit, match="log.txt.*no_such"):
        accuracy.call(["no_such_module"], log)
