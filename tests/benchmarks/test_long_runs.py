"""The command that watches memory, for seconds: it reads, prints rows, and tells by its status whether memory grew."""

from itertools import pairwise

import pytest
from typer.testing import CliRunner

from benchmarks.memory.long_runs import Sample, app, growth_after, is_next

from ..tiny import save_tiny_backbone


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_backbone(tmp_path_factory.mktemp("backbones") / "bert", "bert", max_position_embeddings=512)


@pytest.mark.slow
@pytest.mark.parametrize("what", [["stream", "--engine", "torch"], ["service"]])
@pytest.mark.exhaustive
def test_watches_memory(folder, tmp_path, what):
    results = tmp_path / "results.md"
    options = ["--minutes", "0.05", "--settle", "0", "--every", "1", "--results", results]
    for most, status in ((1e6, 0), (-1.0, 1)):
        arguments = [*what, "--backbone", folder, "--most", most, *options]
        outcome = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert outcome.exit_code == status, f"{outcome.output}\n{outcome.exception!r}"
        assert "growth after 0 minutes" in outcome.output
        words = int(outcome.stdout.splitlines()[-3].split()[1].replace(",", ""))
        assert words > 0
    assert "Memory of a" in results.read_text(encoding="utf8")


def test_growth_counts_from_what_was_there_after_the_first_minutes():
    assert growth_after([(0, 100.0), (60, 150.0), (120, 160.0), (180, 155.0)], 60) == 10.0
    assert growth_after([], 60) == 0.0


def test_one_row_for_each_stretch():
    samples = [Sample(at, 1.0, 1) for at in (-60, 1, 59, 60, 130)]
    shown = [after.at for before, after in pairwise(samples) if is_next(before, after, 60)]
    assert shown == [1, 60, 130]
