"""The progress bar, shown on a terminal unless refused, and memory in the curve. The rest is in test_training.py."""

import io
import json
import subprocess
import sys

import pytest
import spacy
import torch

from spacy_ptv2.training import memory
from spacy_ptv2.training.loggers import build_curve_logger_v1, curve_point

from ..conftest import ROOT

INFO = {"step": 0, "epoch": 0, "seconds": 1, "words": 3, "score": None, "losses": {}, "other_scores": {}}


class Terminal(io.StringIO):
    """Text that says it goes to a terminal."""

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("settings", "stderr", "shown"),
    [
        ({}, Terminal, True),
        ({}, io.StringIO, False),
        ({"progress_bar": False}, Terminal, False),
    ],
)
def test_progress_bar(settings, stderr, shown):
    nlp = spacy.blank("en")
    nlp.config["training"]["max_steps"] = 20
    stream = stderr()
    log_step, finalize = build_curve_logger_v1(**settings)(nlp, io.StringIO(), stream)
    log_step({**INFO, "score": 0.5, "checkpoints": [(0.5, 0)]})
    log_step(None)
    finalize()
    assert ("/20 [" in stream.getvalue()) == shown


GROW = """
import json, sys
import numpy
from spacy_ptv2.training.memory import peak_memory
before = peak_memory()
numpy.ones(100_000_000, dtype="uint8")
print(json.dumps([before, peak_memory()]))
"""
MB = 1_000_000


def test_the_curve_has_the_memory_that_was_used(tmp_path):
    log_step, _ = build_curve_logger_v1(tmp_path / "curve.jsonl")(spacy.blank("en"), io.StringIO(), io.StringIO())
    log_step({**INFO, "score": 0.5, "checkpoints": [(0.5, 0)]})
    (point,) = map(json.loads, (tmp_path / "curve.jsonl").read_text().splitlines())
    assert 50 * MB < point["peak_memory"] <= memory.peak_memory()
    assert ("peak_gpu_memory" in point) == torch.cuda.is_initialized()


def test_it_is_that_of_the_process_itself_and_stays_when_it_is_free_again():
    block = bytearray(600 * MB)  # of this process, not of the one that it starts
    run = subprocess.run([sys.executable, "-c", GROW], cwd=ROOT, check=True, capture_output=True, text=True)
    before, after = json.loads(run.stdout)
    assert 90 * MB < after - before < 150 * MB
    assert before < len(block)


def test_where_the_system_has_no_such_file(monkeypatch, tmp_path):
    known = memory.peak_memory()
    monkeypatch.setattr(memory, "STATUS", tmp_path / "missing")
    resource = pytest.importorskip("resource")
    assert memory.peak_memory() == 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >= 0.95 * known
    used = resource.getrusage(resource.RUSAGE_SELF)
    monkeypatch.setattr(resource, "getrusage", lambda who: used)
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    assert memory.peak_memory() == used.ru_maxrss  # in bytes there
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    assert memory.peak_memory() is None
    assert "peak_memory" not in curve_point(INFO)
