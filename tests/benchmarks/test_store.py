"""The benchmark of a store, on a tiny backbone."""

import re

import pytest
import typer

from benchmarks.speed import store as benchmark
from spacy_ptv2.serving import AdapterBank

from ..tiny import save_tiny_backbone


@pytest.fixture(scope="module")
def longer(tmp_path_factory):
    """A tiny backbone with positions for windows of the default overlap."""
    folder = tmp_path_factory.mktemp("backbones") / "longer"
    return str(save_tiny_backbone(folder, "bert", max_position_embeddings=128))


def test_throughput_is_compared(longer, tmp_path):
    results = tmp_path / "results.md"
    benchmark.throughput(longer, "2,4", texts=16, batch_size=4, repeats=1, different=2, results=results)
    text = results.read_text()
    assert re.search(r"^2 +1\.00 \(1\.00 to 1\.00\) +1\.00 ", text, flags=re.MULTILINE)
    assert re.search(r"^4 +\d+\.\d\d ", text, flags=re.MULTILINE)
    assert re.search(r"a task: [0-9.]+ ms to load", text)


def test_a_limit_holds_and_results_are_the_same(longer, tmp_path, monkeypatch):
    results = tmp_path / "results.md"
    given = {"tasks": 6, "limit_mb": 0.3, "texts": 24, "batch_size": 4, "different": 3, "results": results}
    with pytest.raises(typer.Exit) as ended:
        benchmark.limit(longer, **given)
    assert ended.value.exit_code == 0
    text = results.read_text()
    most = int(re.search(r"most bytes of tasks in memory +([0-9,]+)", text)[1].replace(",", ""))
    loaded = int(re.search(r"tasks loaded.* ([0-9,]+), [0-9,]+\n", text)[1].replace(",", ""))
    assert 0 < most <= 300_000 and loaded > 6
    assert re.search(r"differ from their pipelines alone +0\n", text)
    monkeypatch.setattr(benchmark, "spans_of", lambda doc, seen=[]: seen.append(doc) or [len(seen)])
    with pytest.raises(typer.Exit) as ended:
        benchmark.limit(longer, **given)
    assert ended.value.exit_code == 1


def test_latencies_of_every_way(longer, tmp_path):
    results = tmp_path / "results.md"
    benchmark.latency(longer, tasks=2, requests=12, waits="0,2", batch_size=4, results=results)
    rows = re.findall(r"^(one by one|gathered, \d ms)((?: +[0-9.]+){6})$", results.read_text(), flags=re.MULTILINE)
    assert [label for label, _ in rows] == ["one by one", "gathered, 0 ms", "gathered, 2 ms"]
    for _, numbers in rows:
        low, middle, high = map(float, numbers.split()[2:5])
        assert 0 < low <= middle <= high


def test_folders_share_their_files(longer):
    with benchmark.many_tasks(longer, 5, 2) as folder:
        models = [(folder / f"task_{number:05}" / benchmark.MODEL).stat().st_ino for number in range(5)]
        assert models[0] == models[2] == models[4] != models[1] == models[3]
        assert AdapterBank(longer, store=folder).find("*3") == ("task_00003",)
