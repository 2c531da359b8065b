"""The file of a benchmark: its name and first lines are those of the module that was started, its sections replaced."""

import sys

from benchmarks.lib import results
from benchmarks.lib.results import record, table
from benchmarks.speed import training_step

from ..conftest import ROOT


def headings(path):
    return [line for line in path.read_text(encoding="utf8").splitlines() if line.startswith("#")]


def test_sections_are_replaced(tmp_path):
    path = tmp_path / "results.md"
    text = table(("what", "ratio"), [("a", "1.00"), ("longer", "12.00")])
    assert text.splitlines() == ["what     ratio", "------   -----", "a         1.00", "longer   12.00"]
    record("One", text, path)
    record("Two", "second", path)
    record("One", "first again", path)
    assert headings(path)[1:] == ["## One", "## Two"]
    written = path.read_text(encoding="utf8")
    assert "longer" not in written and "first again" in written


def test_a_benchmark_has_a_file_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setitem(sys.modules, "__main__", training_step)
    monkeypatch.setattr(sys, "argv", ["training_step.py", "--corpus", "/data/conll03/train.spacy", "--repeats", "5"])
    record("MiniLM", "1.00")
    record("mpnet", "2.00")
    (path,) = tmp_path.iterdir()
    assert path.name == "training_step.md"
    assert headings(path) == ["# Training step", "## MiniLM", "## mpnet"]
    written = path.read_text(encoding="utf8")
    assert written.splitlines()[2] == training_step.__doc__.splitlines()[0]
    command = "`python -m benchmarks.speed.training_step --corpus conll03/train.spacy --repeats 5`"
    assert written.count(command) == 2


def test_every_file_is_of_a_benchmark():
    modules = {path.stem for path in (ROOT / "benchmarks").glob("*/*.py")}
    assert {path.stem for path in (ROOT / "benchmarks" / "results").iterdir()} - modules == {"learning_curves"}
