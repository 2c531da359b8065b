"""Backbones in few bits: the prompt stays in float32, gradients reach it, results stay near."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from transformers import PreTrainedModel

from spacy_ptv2.backbones import precision
from spacy_ptv2.backbones.precision import is_fast_in_bfloat16
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.injection.context import RowGroup, injected
from spacy_ptv2.kernels import processor
from spacy_ptv2.kernels.processor import AMD, INTEL
from spacy_ptv2.options import PromptOptions

from ..injection.oracles import batch
from ..tiny import build_adapted, build_pipeline, save_tiny_backbone, train

pytest.importorskip("bitsandbytes")


@pytest.fixture(scope="module", params=["bert", "mpnet", "llama"])
def folder(request, tmp_path_factory):
    """Wide enough for blocks of 64 weights."""
    sizes = {"hidden_size": 64, "intermediate_size": 128}
    path = tmp_path_factory.mktemp("family") / request.param
    return save_tiny_backbone(path, request.param, deviation=0.1, **sizes)


@pytest.mark.parametrize(("quantization", "tolerance"), [("int8", 0.05), ("nf4", 0.3)])
def test_quantized_backbones(folder, quantization, tolerance):
    full = get_backbone(BackboneSource(str(folder)))
    few = get_backbone(BackboneSource(str(folder), quantization=quantization))
    assert few is not full
    kinds = {type(module).__module__.split(".")[0] for module in few.model.modules()}
    assert "bitsandbytes" in kinds and not any(p.requires_grad for p in few.model.parameters())
    ids, mask = batch()
    torch.manual_seed(0)
    prompt = torch.randn(2, 5, full.key_width, requires_grad=True)
    results = []
    for backbone in (full, few):
        with injected(RowGroup({0: prompt, 2: prompt})):
            output = backbone.model(input_ids=ids, attention_mask=mask).last_hidden_state[mask.bool()].float()
        (gradient,) = torch.autograd.grad((output * torch.linspace(-1, 1, 64)).sum(), [prompt])
        results.append((output, gradient))
    (expected, right), (got, gradient) = results
    assert 0 < (got - expected).norm() / expected.norm() < tolerance
    assert gradient.dtype == torch.float32
    assert torch.cosine_similarity(gradient.flatten(), right.flatten(), dim=0) > 1 - tolerance


@pytest.mark.parametrize("settings", [{"quantization": "int8"}, {"quantization": "nf4"}, {"dtype": "bfloat16"}])
def test_training_over_few_bits(folder, corpus, settings):
    backbone = {"@misc": "spacy_ptv2.Backbone.v1", "name": str(folder), **settings}
    nlp = build_pipeline(folder, corpus, backbone=backbone)
    nlp("Training goes on after predictions.")
    losses = train(nlp, corpus, steps=40)
    assert losses[-1]["token_classifier"] < losses[0]["token_classifier"] * 2 / 3
    shim = nlp.get_pipe("ptuning_transformer").model.layers[0].shims[0]
    assert {parameter.dtype for parameter in shim.encoder.parameters()} == {torch.float32}
    loaded = type(shim)(shim.source, shim.adapter, shim.runtime).from_bytes(shim.to_bytes())
    assert loaded.backbone is shim.backbone


@pytest.mark.parametrize(("hardware", "expected"), [(False, torch.float32), (True, torch.bfloat16)])
def test_auto_follows_the_hardware(folder, monkeypatch, hardware, expected):
    monkeypatch.setattr(precision, "is_fast_in_bfloat16", lambda device: hardware)
    backbone = get_backbone(BackboneSource(str(folder)))
    assert backbone.model.dtype == expected
    spelt_out = get_backbone(BackboneSource(str(folder), dtype=str(expected).removeprefix("torch.")))
    assert spelt_out is backbone


# The fixture `full_precision` replaces the function in the module, and leaves alone what was imported from it before.
@pytest.mark.parametrize(("capability", "expected"), [(7, False), (8, True)], ids=["T4", "A100"])
def test_bfloat16_on_gpus_that_multiply_it(monkeypatch, capability, expected):
    """torch takes those for capable that emulate it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(major=capability))
    monkeypatch.setattr(torch.cuda, "_check_bf16_tensor_supported", lambda device: True)
    assert is_fast_in_bfloat16(torch.device("cuda:0")) is expected


@pytest.mark.parametrize(
    ("maker", "capabilities", "expected"),
    [
        (AMD, {"avx512_bf16": True}, True),
        (INTEL, {"avx512_bf16": True, "amx_bf16": False}, False),
        (INTEL, {"avx512_bf16": True, "amx_bf16": True}, True),
        (None, {"bf16": True}, True),
        (AMD, {"avx2": True}, False),
        (None, {}, False),
    ],
)
def test_bfloat16_on_cpus_that_are_faster_in_it(monkeypatch, maker, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    monkeypatch.setattr(precision, "is_made_by", lambda asked: asked == maker)
    assert is_fast_in_bfloat16(torch.device("cpu")) is expected
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not is_fast_in_bfloat16(torch.device("cpu"))


@pytest.mark.parametrize(("described", "expected"), [("vendor_id : GenuineIntel", True), ("", False), (None, False)])
def test_the_maker_of_the_cpu(monkeypatch, tmp_path, described, expected):
    if described is not None:
        (tmp_path / "cpuinfo").write_text(described, encoding="utf8")
    monkeypatch.setattr(processor, "CPU_DESCRIPTION", tmp_path / "cpuinfo")
    assert processor.is_made_by.__wrapped__(INTEL) is expected


def test_quantized_weights_go_to_the_device_asked_for(tmp_path, monkeypatch):
    """Left alone, transformers puts them on a GPU wherever there is one."""
    asked = []
    load = PreTrainedModel.from_pretrained.__func__
    spy = classmethod(lambda cls, *args, **options: asked.append(options["device_map"]) or load(cls, *args, **options))
    monkeypatch.setattr(PreTrainedModel, "from_pretrained", spy)
    folder = save_tiny_backbone(tmp_path / "bert", "bert", seed=1)
    backbone = get_backbone(BackboneSource(str(folder), quantization="int8"))
    assert asked == [{"": torch.device("cpu")}]
    assert backbone.device == torch.device("cpu")


def test_only_weights_in_float32_train_under_autocast(folder):
    for dtype, expected in (("float32", True), ("bfloat16", False)):
        backbone = get_backbone(BackboneSource(str(folder), dtype=dtype))
        options = {"mixed_precision": True}
        encoder = build_adapted(backbone, PromptOptions(length=2), **options).train()
        assert encoder.autocast is expected
        assert encoder.plain_attention
        assert not encoder.eval().plain_attention
