"""Operations are counted as the formula says, shares add up, and the command prints and records its tables."""

import time
from types import SimpleNamespace

import pytest
import torch
import typer
from typer.testing import CliRunner

from benchmarks.lib import peaks, profiles
from benchmarks.lib.annotators import annotate, ours, read_texts
from benchmarks.lib.operations import LayerSizes, ReadPieces, forward_operations, frozen_training_operations
from benchmarks.speed import efficiency, folding
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource

from ..tiny import save_tiny_backbone

SIZES = LayerSizes((((4, 4), (4, 8)), ((4, 4), (4, 8))), attended=4)  # 2 layers of 48 weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny BERT with room for the sentences of Wikigold."""
    return save_tiny_backbone(tmp_path_factory.mktemp("backbone") / "bert", "bert", max_position_embeddings=512)


def test_operations_of_two_windows():
    linear = 2 * (3 + 5) * 2 * 48  # two per weight and piece
    attention = 2 * 4 * (3 * 3 + 5 * 5) * 4  # in each layer scores and weighted values
    assert forward_operations(SIZES, [3, 5]) == linear + attention
    assert frozen_training_operations(SIZES, [3, 5]) == 2 * linear + 3 * attention
    assert forward_operations(SIZES, [8]) > forward_operations(SIZES, [3, 5])  # longer windows attend to more


def test_operations_are_those_that_torch_counts(folder):
    from torch.utils.flop_counter import FlopCounterMode

    # of fused attention on CPUs it counts nothing
    backbone = get_backbone(BackboneSource(str(folder), dtype="float32", attention="eager"))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        backbone.model(input_ids=torch.ones(2, 7, dtype=torch.long))
    pooler = 2 * 2 * backbone.hidden_width**2  # reads one piece of each window, for nothing
    assert forward_operations(LayerSizes.of(backbone), [7, 7]) == counter.get_total_flops() - pooler


def test_padding():
    assert ReadPieces([3, 5], 10).padding == pytest.approx(0.2)
    assert ReadPieces([]).padding == 0.0


def test_what_was_read_is_noted(folder):
    nlp, read = ours(str(folder), **{"runtime.engine": "torch"}), ReadPieces([])
    docs = [text.make_doc(nlp) for text in read_texts(None, 3)]
    with profiles.noting_pieces(read):
        annotate(nlp, docs)
    tokenizer = get_backbone(BackboneSource(str(folder), dtype="float32")).tokenizer
    n_pieces = sum(len(tokenizer(doc.text)["input_ids"]) for doc in docs)
    assert n_pieces <= sum(read.lengths) <= read.n_padded


def event(name, micros, parent=None, shapes=()):
    return SimpleNamespace(name=name, self_cpu_time_total=micros, cpu_parent=parent, input_shapes=shapes)


def test_parts_of_a_profile():
    run = event("part: Python between", 5)
    lora, embeddings = event("part: LoRA", 1, run), event("part: embeddings", 2, run)
    events = [run, lora, embeddings, event("elsewhere", 99)]
    events += [event("aten::addmm", 10, lora), event("aten::index_select", 20, embeddings)]
    events += [event("aten::addmm", 100, run, [[8], [30, 8], [8, 8]]), event("aten::mm", 200, run, [[30, 8], [8, 7]])]
    events += [event("aten::bmm", 1000, run, [[2, 3, 7]]), event("aten::add", 2000, run), event("autograd", 4000, run)]
    spent = profiles.add_up(events, rank=7)
    expected = {"Python between": 4005, "LoRA": 211, "embeddings": 22, "matrix products": 100}
    expected |= {"attention": 1000, "sums and copies": 2000}
    assert spent == pytest.approx({part: micros / 1e6 for part, micros in expected.items()})


def test_the_profile_of_annotation(folder):
    nlp = ours(str(folder), **{"runtime.engine": "torch"})
    texts = read_texts(None, 3)
    with profiles.timing_nodes() as nodes:
        spent = profiles.seconds_by_part(lambda: efficiency.annotate_texts(nlp, texts), 7, nodes)
    assert tuple(spent) == profiles.PARTS
    inside = ("matrix products", "LoRA", "attention", "norms", "prompts", "scalar mix", "tokenizer", "writing to Docs")
    assert all(spent[part] > 0 for part in inside)
    assert spent["OpenVINO around its nodes"] == spent["optimizer"] == 0


def test_the_peak_is_that_of_the_fastest_product(monkeypatch):
    clock = iter([0.0, 4.0, 4.0, 5.0] * 2)  # the second of two repeats is the faster
    monkeypatch.setattr(peaks, "time", SimpleNamespace(process_time=lambda: next(clock)))
    seen = []
    fastest = peaks.measure_peak({(2, 3): lambda states: seen.append(states.shape)})
    assert seen == [(1, rows, 2) for rows in peaks.ROWS for _ in range(2)]
    assert fastest == peaks.PRODUCTS * 2 * max(peaks.ROWS) * 2 * 3


@pytest.mark.parametrize("engine", ["torch", "openvino", "openvino-int8"])
def test_chains_multiply_there_and_back(engine):
    pytest.importorskip("openvino")
    (chain,) = peaks.build_chains([(32, 64)], engine, torch.float32).values()
    given = chain(torch.randn(1, 9, 32))
    states = given[0] if isinstance(given, tuple) else given
    assert states.shape == (1, 9, 32)
    assert torch.isfinite(states).all() and states.abs().mean() > 1e-3
    start = time.process_time()
    assert peaks.measure_peak({(32, 64): chain}, repeats=1) > 0
    assert time.process_time() > start


def test_shapes_of_a_backbone(folder):
    backbone = get_backbone(BackboneSource(str(folder), dtype="float32"))
    widths = {tuple(sorted(pair)) for pair in backbone.linear_widths[0]}
    assert peaks.shapes_of(backbone) == sorted(widths)


def test_the_command(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(efficiency, "PROFILED", 1)
    monkeypatch.setattr(efficiency, "find_candidates", lambda device: {"torch, float32": ("torch", "float32")})
    app, results = typer.Typer(), tmp_path / "results.md"
    app.command()(efficiency.main)
    small = ["--docs", "4", "--long", "1", "--long-words", "60", "--sentences", "4", "--repeats", "1"]
    outcome = CliRunner().invoke(app, [*small, "--backbone", str(folder), "--results", str(results)])
    assert outcome.exit_code == 0, f"{outcome.output}\n{outcome.exception!r}"
    assert outcome.stdout.strip() in results.read_text(encoding="utf8")
    lines = [" ".join(line.split()) for line in outcome.stdout.splitlines()]
    assert [line.split(" torch")[0] for line in lines if "(" in line] == ["corpus", "60 words", "training"]
    shares = [float(line.split()[-1].rstrip("%")) for line in lines if line.startswith("matrix products")]
    assert len(shares) == 3 and all(0 < share < 100 for share in shares)
    assert "deep prompts of 8, LoRA of rank 7, scalar mix and word shape" in lines[0]


def test_candidates_of_this_machine():
    found = efficiency.find_candidates(torch.device("cpu"))
    assert found["torch, float32"] == ("torch", "float32")
    shipped = {dtype for engine, dtype in found.values() if engine != "torch"}
    assert len(shipped) <= 1
    assert all(engine in ("torch", "openvino", "openvino-int8") for engine, _ in found.values())


def test_folding(folder, tmp_path, monkeypatch):
    found = {"torch, float32": ("torch", "float32"), "torch, bfloat16": ("torch", "bfloat16")}
    monkeypatch.setattr(folding, "find_candidates", lambda device: found)
    app, results = typer.Typer(), tmp_path / "results.md"
    app.command()(folding.main)
    small = ["--docs", "4", "--repeats", "1", "--deviation", "0.1"]
    outcome = CliRunner().invoke(app, [*small, "--backbone", str(folder), "--results", str(results)])
    assert outcome.exit_code == 0, f"{outcome.output}\n{outcome.exception!r}"
    assert outcome.stdout.strip() in results.read_text(encoding="utf8")
    rows = outcome.stdout.strip().splitlines()[2:]
    assert [row.split("   ")[0] for row in rows] == list(found)
    exact, rounded = (float(row.split()[-1]) for row in rows)
    assert 0 < exact < 1e-5 < rounded < 0.05
    assert all(row.count("(") == 3 for row in rows)
