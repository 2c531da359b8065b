"""The benchmark of a pipeline's start, on processes that load nothing."""

import re
import sys
from pathlib import Path

from benchmarks.speed import start as benchmark

MODULE = "light_enough_to_import"


def test_starts_are_compared_cold_and_warm(tmp_path, monkeypatch):
    environment = tmp_path / "environment"
    environment.mkdir()
    (environment / f"{MODULE}.py").write_text("1", encoding="utf8")
    monkeypatch.setenv("PYTHONPATH", str(environment))
    cold = f"import os; kept = os.listdir(os.environ['XDG_CACHE_HOME']); import {MODULE}; "
    monkeypatch.setattr(benchmark, "START", f"{cold}print([0.5, 0.25, float(len(kept))])")
    monkeypatch.setattr(benchmark, "HELP", "pass")
    monkeypatch.setattr(benchmark, "MOST_PACKAGES", 1000)
    caches = tmp_path / "caches"
    (caches / "kept").mkdir(parents=True)
    starter = benchmark.Starter(Path(sys.executable), tmp_path, [environment], caches, {})
    monkeypatch.setattr(benchmark, "make_starters", lambda *_: (starter, starter))
    benchmark.main("tiny", repeats=1, results=tmp_path / "results.md")
    text = (tmp_path / "results.md").read_text()
    for way in ("cold", "warm", "warm, in torch", "spacy ptv2 --help"):
        assert re.search(rf"^{way} +clock( +\d+\.\d\d){{3}} \(", text, flags=re.MULTILINE)
    assert re.search(r"^spacy.load( +0\.25){3}$", text, flags=re.MULTILINE)
    assert re.search(r"^first Doc( +1\.00){3}$", text, flags=re.MULTILINE)
    assert f"importing {MODULE}" in text


def test_files_taken_from_memory_stay_on_disk(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"content")
    benchmark.drop_from_memory(tmp_path)
    assert (tmp_path / "folder" / "file").read_bytes() == b"content"
