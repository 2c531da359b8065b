"""`spacy ptv2 compare`: a run per method and seed, none of them twice, and one table."""

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.cli import app
from spacy_ptv2.comparison import runs, worker
from spacy_ptv2.comparison.methods import FULL
from spacy_ptv2.comparison.outcome import LOG, Job, Outcome
from spacy_ptv2.comparison.table import difference, markdown, rows_of

from ..tiny import save_tiny_backbone, small_ner_config

SIZES = {"initialize.before_init.epochs": 3, "initialize.before_init.min_steps": 3}


@pytest.fixture
def config(tmp_path, corpus):
    path = tmp_path / "small.cfg"
    small_ner_config(save_tiny_backbone(tmp_path / "backbone", "bert"), corpus, SIZES).to_disk(path)
    return path


@pytest.fixture
def called(monkeypatch):
    """The runs that are trained, here and not in processes of their own."""
    jobs = []

    def run(command, **options):
        folder = Path(command[-1])
        jobs.append(Job.from_disk(folder).name)
        worker.run(folder)
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr(runs.subprocess, "run", run)
    return jobs


def compare(config, output, *options):
    result = CliRunner().invoke(app, ["compare", str(config), str(output), *options], env={"COLUMNS": "200"})
    return result.exit_code, result.output


def test_runs_and_table(config, corpus, tmp_path, called):
    backbone = get_backbone(BackboneSource(str(tmp_path / "backbone")))
    before = {name: weights.clone() for name, weights in backbone.model.state_dict().items()}
    options = [
        "--methods",
        "probe,full",
        "--seeds",
        "0",
        "--rates",
        "1e-3",
        "--test",
        str(corpus),
        "--test",
        str(corpus),
    ]
    code, printed = compare(config, tmp_path / "out", *options)
    assert code == 0, printed
    assert called == ["probe_seed0", "full_0.001_seed0"]
    assert all(torch.equal(before[name], weights) for name, weights in backbone.model.state_dict().items())
    table = (tmp_path / "out" / "comparison.md").read_text(encoding="utf8").splitlines()
    assert len(table) == 4
    assert table[2].startswith("| head alone (probe) | ")
    assert table[3].startswith("| full fine-tuning, rate 0.001 | ")
    full = Outcome.from_disk(tmp_path / "out" / "full_0.001_seed0")
    assert full.parameters["backbone"] == full.of_backbone > full.parameters["head"] > 0
    assert full.n_bytes > 4 * full.of_backbone
    assert full.curve[-1][0] == full.n_steps - 1
    assert full.dev == max(score for _, _, score in full.curve)
    assert full.tests == [pytest.approx(full.dev)] * 2
    probe = Outcome.from_disk(tmp_path / "out" / "probe_seed0")
    assert set(probe.parameters) == {"head", "scalar_mix", "word_shape"}
    code, printed = compare(config, tmp_path / "out", *options)
    assert (code, len(called)) == (0, 2)
    assert "finished before" in printed


def test_the_first_seed_chooses_the_rate_and_nothing_is_trained_twice(config, tmp_path, monkeypatch):
    trained = []

    def start(comparison, job, folder):
        trained.append(job.name)
        folder.mkdir(parents=True, exist_ok=True)
        job.to_disk(folder)
        (folder / "config.cfg").write_text(runs.config_of(comparison, job).to_str(), encoding="utf8")
        outcome(0.5, dev={None: 0.4, 1e-5: 0.5, 1e-4: 0.7, 1e-3: 0.6}[job.rate]).to_disk(folder)

    monkeypatch.setattr(runs, "start", start)
    options = ["--methods", "probe,full", "--seeds", "3,4", "--rates", "1e-5,1e-4,1e-3"]
    first = ["probe_seed3", "full_1e-05_seed3", "full_0.0001_seed3", "full_0.001_seed3"]
    for _ in range(2):
        assert compare(config, tmp_path / "out", *options)[0] == 0
        assert trained == [*first, "probe_seed4", "full_0.0001_seed4"]
    assert compare(config, tmp_path / "out", *options, "--training.dropout", "0.2")[0] == 0
    assert trained == [*first, "probe_seed4", "full_0.0001_seed4"] * 2
    written = (tmp_path / "out" / "full_0.0001_seed4" / "config.cfg").read_text(encoding="utf8")
    assert "seed = 4" in written
    assert "dropout = 0.2" in written


def test_one_process_at_a_time_works_in_a_folder(config, tmp_path, monkeypatch):
    """Another one is told, and the folder is free again even if a run fails."""
    inside = []

    def run(command, **options):
        inside.append(compare(config, tmp_path / "out", "--methods", "probe", "--seeds", "0"))
        return type("Done", (), {"returncode": 1})

    monkeypatch.setattr(runs.subprocess, "run", run)
    for _ in range(2):
        code, printed = compare(config, tmp_path / "out", "--methods", "probe", "--seeds", "0")
        assert code == 1 and "P772" in printed
    assert len(inside) == 2 and all(code == 1 and "P779" in printed for code, printed in inside)


def test_what_fails_shows_the_end_of_its_log(config, tmp_path):
    code, printed = compare(config, tmp_path / "out", "--methods", "lora", "--seeds", "0", "--paths.train", "no.spacy")
    assert code == 1
    assert "P772" in printed
    assert "no.spacy" in printed
    assert "no.spacy" in (tmp_path / "out" / "lora_seed0" / LOG).read_text(encoding="utf8")


@pytest.mark.parametrize(
    ("options", "code"), [(["--seeds", "one"], "P773"), (["--methods", "prefix"], "P771"), (["--rates", ""], "P773")]
)
def test_wrong_options(config, tmp_path, options, code):
    assert code in compare(config, tmp_path / "out", *options)[1]


def outcome(*tests, dev=0.5, **parameters):
    own = {"step": 10, "scores": {}, "of_backbone": 10000, "n_bytes": 2_000_000, "n_steps": 11, "words": 5}
    return Outcome(dev=dev, tests=list(tests), parameters=parameters or {"head": 1}, seconds=9.6, curve=[], **own)


def test_table():
    full = [(Job(FULL, seed, 1e-4), outcome(test, backbone=10000, head=9)) for seed, test in ((0, 0.5), (1, 0.6))]
    lora = [(Job("lora", seed), outcome(test, lora=150, head=9)) for seed, test in ((0, 0.52), (1, 0.58))]
    assert rows_of({"lora": lora, FULL: full}) == [
        ("LoRA", "150", "1.50", "9", "2.0", "10", "50.0 (50.0 50.0)", "55.0 (52.0 58.0)", "+0.0 ± 2.0"),
        (
            "full fine-tuning, rate 0.0001",
            "10,000",
            "100.00",
            "9",
            "2.0",
            "10",
            *("50.0 (50.0 50.0)", "55.0 (50.0 60.0)"),
            "",
        ),
    ]
    # Of an unfinished comparison, what has no partner with the same seed is left out.
    assert rows_of({"lora": [(Job("lora", 7), outcome(0.9)), *lora], FULL: full[1:]})[0][-1] == "-2.0"
    assert difference([(outcome(0.5), outcome(0.6))]) == "-10.0"
    assert difference([(outcome(), outcome(0.6))]) == ""
    two = {"lora": [(Job("lora", 0), outcome(0.6, 0.4))], FULL: [(Job(FULL, 0, 1e-4), outcome(0.5, 0.5))]}
    assert [row[-2:] for row in rows_of(two)] == [("60.0 / 40.0", "+10.0 / -10.0"), ("50.0 / 50.0", "")]
    assert markdown([]).splitlines()[1].startswith("| --- | ---: |")
