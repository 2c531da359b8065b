"""A bank under many threads: what comes out is what each task alone gives, while tasks come and go."""

import random
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.speed import bank as benchmark
from spacy_ptv2.serving import AdapterBank

from ..pipeline.test_shared_backbone import annotations, assert_same, build
from ..tiny import save_tiny_backbone

N_THREADS = 8


@pytest.fixture
def hasty():
    """Threads take turns as often as they can, so that what is unguarded is met half done."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def new_words(n_texts):
    """Texts of words that no vocabulary has seen, most of them in several texts."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefgh", k=draw.randint(3, 9))).title() + draw.choice(["", "'s", ",", "..."])
             for _ in range(n_texts)]  # fmt: skip
    return [" ".join(draw.choices(words, k=6)) for _ in range(n_texts)]


def test_threads_that_share_vocabulary_tokenizers_and_prompts(tiny_folder, tmp_path, hasty):
    saved = {name: tmp_path / name for name in ("shared", "separate")}
    for name, path in saved.items():
        build(tiny_folder, shared=name == "shared").to_disk(path)
    bank, alone = AdapterBank(str(tiny_folder)), AdapterBank(str(tiny_folder))
    for name, path in saved.items():
        bank.load(name, path)
        alone.load(name, path)
    asked = [(text, name) for number, text in enumerate(new_words(80)) for name in saved if number % 2]
    expected = [(alone(text, name), name) for text, name in asked]
    start = threading.Barrier(N_THREADS + 1)

    def read(number):
        start.wait()
        return list(bank.pipe(asked[::-1] if number % 2 else asked, batch_size=4 + number))

    def change():
        start.wait()
        for _ in range(4):
            bank.load("further", saved["shared"])
            bank.load("separate", saved["separate"], replace=True)
            bank.unload("further")

    with ThreadPoolExecutor(N_THREADS + 1) as pool:
        changed = pool.submit(change)
        results = list(pool.map(read, range(N_THREADS)))
        changed.result()
    wanted = annotations(doc for doc, _ in expected)
    assert len({str(spans) for _, spans, _ in wanted}) > 10
    for number, docs in enumerate(results):
        docs = docs[::-1] if number % 2 else docs
        assert [[t.text for t in doc] for doc in docs] == [[t.text for t in doc] for doc, _ in expected]
        assert_same(annotations(docs), wanted)
    assert bank.names == ("shared", "separate")
    for task in bank._tasks.values():
        assert not any(handover._waiting for handover in task._handovers)


@pytest.fixture(scope="module")
def longer(tmp_path_factory):
    """A tiny backbone with positions for windows of the default overlap."""
    return save_tiny_backbone(tmp_path_factory.mktemp("backbones") / "longer", "bert", max_position_embeddings=128)


@pytest.mark.exhaustive
def test_the_benchmark(longer, capsys):
    benchmark.main(backbone=str(longer), texts=200, threads=N_THREADS, tasks=4, deviation=0.15)
    printed = capsys.readouterr().out
    assert "differ from their task alone: 0\n" in printed
    assert int(re.search(r"(\d+) entities", printed)[1]) > 50
    assert len(re.findall(r"processor time, .* / bank: \d", printed)) == 3
    assert "heads 1,188 bytes" in printed  # 9 tags over 32 numbers, and their biases


def test_the_benchmark_counts_what_differs(longer, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "annotate", lambda bank, asked, threads: [[(0, 1, "NONE")] for _ in asked])
    benchmark.main(backbone=str(longer), texts=5, threads=2, tasks=2)
    assert "differ from their task alone: 5\n" in capsys.readouterr().out
