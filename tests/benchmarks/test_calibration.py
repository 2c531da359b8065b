"""Measures of calibration by hand, and the command on a tiny pipeline."""

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from benchmarks.accuracy import calibration
from spacy_ptv2.pipeline.confidences import CONFIDENCES

from ..tiny import build_pipeline, train


def test_calibration_error():
    confidences = np.array([0.9, 0.5, 0.9, 0.5])
    assert calibration.calibration_error(confidences, np.array([1.0, 1.0, 1.0, 0.0]), 2) == pytest.approx(0.05)
    assert calibration.calibration_error(confidences, np.array([0.0, 1.0, 1.0, 0.0]), 2) == pytest.approx(0.2)
    assert calibration.calibration_error(confidences, np.array([0.0, 1.0, 1.0, 1.0]), 1) == pytest.approx(0.05)


def test_measures_of_perfect_and_of_sure_and_wrong_confidences():
    right = np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0])
    assert calibration.measure(right, right, 3) == ["0.5000", "0.0000", "0.0000", "+0.0000", "1.0000"]
    assert calibration.measure(1 - right, right, 2)[2:] == ["1.0000", "-1.0000", "0.0000"]


def test_where_nothing_is_wrong_or_nothing_is_predicted():
    assert calibration.measure(np.array([0.9, 0.7, 0.8]), np.ones(3), 3)[-1] == "nan"
    assert calibration.measure(np.zeros(0), np.zeros(0), 3) == ["nan"] * 5
    assert calibration.gain(np.zeros(0), np.zeros(0), 0) == ["0.0000", "0.0000", "0.00"]


def test_what_a_threshold_gains():
    confidences, right = np.array([0.9, 0.8, 0.32, 0.2]), np.array([1.0, 1.0, 0.0, 0.0])
    assert calibration.gain(confidences, right, 4) == ["0.5000", "0.6667", "0.35"]
    assert calibration.gain(1 - confidences, right, 2)[1:] == ["0.6667", "0.00"]


def test_ties_count_half():
    assert calibration.ranking(np.array([0.5, 0.5, 0.1]), np.array([1.0, 0.0, 0.0])) == 0.75


def test_command(tiny_folder, corpus, tmp_path):
    nlp = build_pipeline(tiny_folder, corpus)
    train(nlp, corpus, steps=15)
    pipeline = tmp_path / "model-best"
    app = typer.Typer()
    app.command()(calibration.main)
    results = tmp_path / "results.md"
    nlp.get_pipe("token_classifier").cfg["temperature"] = 2.0
    nlp.to_disk(pipeline)
    arguments = [str(pipeline), str(corpus), "--bins", "2", "--results", str(results)]
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == 0, f"{outcome.output}\n{outcome.exception!r}"
    rows = [line.split() for line in outcome.output.splitlines()[2:]]
    assert [row[3:5] for row in rows] == [[kind, at] for kind in CONFIDENCES for at in ("1", "2")]
    assert len({row[5] for row in rows}) == 4
    assert f"## Calibration: {tmp_path.name}/model-best" in results.read_text(encoding="utf8")


def test_temperatures_are_fitted_to_half_of_dev(tiny_folder, corpus, tmp_path):
    nlp = build_pipeline(tiny_folder, corpus)
    train(nlp, corpus, steps=5)
    nlp.to_disk(tmp_path / "model-best")
    results = tmp_path / "results.md"
    calibration.main(tmp_path / "model-best", [corpus], dev=corpus, bins=2, results=results)
    lines = [line for line in results.read_text(encoding="utf8").splitlines() if " product " in line]
    assert [line.startswith("half of") for line in lines] == [True, True, False, False]
