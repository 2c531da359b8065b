"""The commands that measure annotation, on very little: they run, print their rows and write their sections."""

import re

import pytest
import typer
from typer.testing import CliRunner

from benchmarks.lib.annotators import cut_texts, ours, read_texts, trained, without_tuning
from benchmarks.speed import annotation, curves, import_time
from spacy_ptv2.serialization.models import adapter_shims

from ..tiny import build_pipeline, save_tiny_backbone


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny BERT with positions for the spans of 128 tokens that spacy-transformers takes."""
    return save_tiny_backbone(tmp_path_factory.mktemp("backbones") / "long", "bert", max_position_embeddings=512)


@pytest.fixture
def run(tmp_path):
    def run(module, *arguments):
        app = typer.Typer()
        app.command()(module.main)
        results = tmp_path / "results.md"
        outcome = CliRunner().invoke(app, [*map(str, arguments), "--repeats", "1", "--results", str(results)])
        assert outcome.exit_code == 0, f"{outcome.output}\n{outcome.exception!r}"
        assert outcome.stdout.strip() in results.read_text(encoding="utf8")
        return [line.split("   ")[0].strip() + "|" + line for line in outcome.stdout.splitlines()]

    return run


@pytest.mark.spacy_transformers
@pytest.mark.exhaustive
def test_annotation(run, folder):
    options = ("--docs", 5, "--long", 1, "--long-words", 80, "--length", 2)
    lines = "\n".join(run(annotation, "--backbone", folder, *options))
    for name in annotation.CANDIDATES:
        assert lines.count(f"{name}   ") >= 2
    for precision in annotation.PRECISIONS:
        assert lines.count(f"{annotation.BARE}, {precision}") == 2
    assert "80 words|" in lines


@pytest.mark.spacy_transformers
def test_annotation_of_chosen_candidates(run, folder, tmp_path):
    options = ("--docs", 2, "--long", 0, "--candidate", "torch", "--candidate", "torch, bf16")
    lines = run(annotation, "--backbone", folder, *options)
    named = [re.split(" {3,}", line)[1] for line in lines if line.startswith("corpus|")]
    assert named == ["torch", "torch, bf16", f"{annotation.BARE}, fp32", f"{annotation.BARE}, bf16"]
    assert "Wikigold: torch; torch, bf16\n" in (tmp_path / "results.md").read_text(encoding="utf8")
    with pytest.raises(AssertionError, match="expected some of"):
        run(annotation, "--candidate", "ONNX")


@pytest.mark.spacy_transformers
def test_annotation_of_a_trained_pipeline(run, folder, corpus, tmp_path):
    path = tmp_path / "pipeline"
    build_pipeline(folder, corpus).to_disk(path)
    config = trained(path, dtype="bfloat16", engine="torch").config
    model = config["components"]["ptuning_transformer"]["model"]
    assert (model["backbone"]["dtype"], model["runtime"]["engine"]) == ("bfloat16", "torch")
    assert (model["windows"]["length"], model["windows"]["overlap"], config["nlp"]["batch_size"]) == (96, 24, 1000)
    lines = run(annotation, "--pipeline", path, "--corpus", corpus, "--long", 0)
    scored = [line.split()[-1] for line in lines if line.split("|")[-1].startswith("corpus") and "bare" not in line]
    assert len(scored) == len(annotation.CANDIDATES)
    assert all(0 <= float(score) <= 1 for score in scored)


def test_what_is_shipped_and_untuned(folder):
    nlp = ours(str(folder), **{"runtime.engine": "torch"})
    (shim,) = adapter_shims(nlp.get_pipe("transformer").model)
    assert (shim.encoder.prompt.longest, shim.encoder.lora.rank) == (8, 7)
    without_tuning(nlp)
    assert (shim.encoder.prompt.longest, shim.encoder.lora) == (0, None)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_curves(run, folder, monkeypatch):
    in_place = lambda curve, texts: [curves.peak_bytes(e.settings, t) for e, t in zip(curve, texts, strict=True)]  # noqa: E731
    monkeypatch.setattr(curves, "peaks", in_place)  # without a process for each
    options = ("--words", 60, "--lengths", "0,2", "--ranks", "0,2", "--doc-words", "20,60", "--batch-pieces", "64,512")
    lines = run(curves, "--backbone", folder, *options)
    assert [line.split("|")[0] for line in lines[2:]] == [
        name for name in ("prompt length", "LoRA rank", "words per document", "batch_pieces") for _ in range(2)
    ]


@pytest.mark.slow
def test_import_time(run, monkeypatch):
    import_time.check_hidden()
    monkeypatch.setattr(import_time, "check_hidden", lambda: None)
    monkeypatch.setattr(import_time, "PAIRS", {"pass": (["pass"], ["pass"])})
    lines = run(import_time)
    assert [line.split()[1] for line in lines if line.startswith("pass|")] == ["clock", "processor"]


def test_texts_are_joined_and_cut():
    texts = read_texts(None, 3)
    joined = cut_texts(texts, 100, 40)
    assert [len(text.words) for text in joined] == [40, 40, 20]
    words = [word for text in texts for word in text.words]
    assert sum((text.words for text in joined), [])[: len(words)] == words[:100]  # noqa: RUF017
    assert len(read_texts(None, n_words=50)) <= 10
