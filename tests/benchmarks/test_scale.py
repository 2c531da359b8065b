"""The arithmetic of many machines, on round figures, and the benchmark that fills it, on a tiny backbone."""

import pytest

from benchmarks.lib import fleet
from benchmarks.lib.fleet import Constants, Fleet, Work
from benchmarks.speed import scale

from ..tiny import save_tiny_backbone

ROUND = Constants(
    word_seconds=100e-6,
    pass_seconds=80e-6,
    word_operations=50e6,
    read_bytes=6,
    written_bytes=4,
    start_seconds=0,
    task_bytes=1e6,
    task_memory=2e6,
    task_seconds=0.1,
    backbone_bytes=100e6,
    backbone_seconds=0.2,
)
WORK = Work(documents=1e6, words=360, tasks=1000, passes=1)
FLEET = Fleet(nodes=10, cores=10, gpus=2, gpu_operations=1e12)


def test_hours_of_nodes_and_of_gpus():
    """3.6e8 words: on 100 cores of 10,000 words a second 360 s; on two GPUs of 20,000 words a second 9,000 s."""
    assert fleet.cpu_hours(ROUND, WORK, FLEET) == pytest.approx(0.1)
    assert fleet.gpu_hours(ROUND, WORK, FLEET) == pytest.approx(2.5)
    assert fleet.cores_per_gpu(ROUND, FLEET) == pytest.approx(0.4)


def test_each_task_reads_the_documents_again():
    every = Work(documents=1e6, words=360, tasks=1000, passes=1000)
    assert fleet.cpu_hours(ROUND, every, FLEET) == pytest.approx(100)
    assert fleet.node_megabytes_per_second(ROUND, WORK, FLEET) == pytest.approx(
        1.0
    )  # 100,000 words a second, ten bytes each
    assert fleet.node_megabytes_per_second(ROUND, every, FLEET) == pytest.approx(0.4006)


def test_tasks_over_one_backbone_and_with_weights_of_their_own():
    ours, others = fleet.adapted(ROUND, WORK, FLEET), fleet.fine_tuned(ROUND, WORK, FLEET)
    assert (ours.disk, others.disk) == (1.1e9, 100e9)
    assert (ours.memory, others.memory) == (2.1e9, 100e9)
    assert (ours.traffic, others.traffic) == (11e9, 1000e9)
    assert ours.switching == pytest.approx(1000 * 0.1 * 100 / 3600)
    assert others.switching == pytest.approx(3 * ours.switching)


@pytest.mark.exhaustive
def test_what_is_measured_becomes_a_table(tmp_path):
    results = tmp_path / "scale.md"
    backbone = save_tiny_backbone(tmp_path / "long", "bert", max_position_embeddings=512)
    scale.main(str(backbone), sample_words=2000, results=results)
    text = results.read_text()
    assert "100 nodes of 32 cores" in text
    assert "fine-tuned" in text
