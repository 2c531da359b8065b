"""The examples in Ray and Spark, for real: the annotations are those of the command."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from shutil import which

import pyarrow.parquet as pq
import pytest

from ..conftest import ROOT
from .conftest import rows_of

HOW = "`make test-scale` runs it"


@pytest.mark.scale
@pytest.mark.parametrize(
    "engine",
    [
        pytest.param("ray", marks=pytest.mark.skipif(find_spec("ray") is None, reason=f"needs Ray: {HOW}")),
        pytest.param(
            "spark",
            marks=pytest.mark.skipif(
                find_spec("pyspark") is None or which("java") is None, reason=f"needs Spark and Java: {HOW}"
            ),
        ),
    ],
)
def test_annotates_as_the_command(engine, run, lines, tmp_path, pipelines):
    run(lines, given=pipelines)
    lines.write_text(lines.read_text() + '{"id": 60, "text": null}\n')
    script = ROOT / "examples" / engine / "annotate.py"
    named = [f"{name}={folder}" for name, folder in pipelines.items()]
    command = [sys.executable, str(script), *named, str(lines), str(tmp_path / "engine")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    table = pq.read_table(tmp_path / "engine").to_pylist()
    *rows, bad = sorted(table, key=lambda row: row["id"])
    assert (bad["annotations"], bad["problem"]) == (None, "expected a text, got none")
    expected = rows_of(tmp_path / "out")
    assert [row["text"] for row in rows] == [row["text"] for row in expected]
    for row, own in zip(rows, expected, strict=True):
        assert without_confidences(json.loads(row["annotations"])) == without_confidences(own["annotations"])
        assert row["problem"] is None


def without_confidences(annotations):
    """They differ by rounding between batches."""
    return {name: [(e["start"], e["end"], e["label"]) for e in own["entities"]] for name, own in annotations.items()}
