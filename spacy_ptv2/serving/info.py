"""What a bank holds and how many bytes of tensors that takes: each task's prompts and heads, and the backbone once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from spacy.language import Language

from ..backbones.backbone import Backbone
from ..layers.model_state import prompt_shims


@dataclass(frozen=True)
class TaskInfo:
    """One task of a bank.

    components (tuple[str, ...]): Names, in order. labels (dict[str, tuple[str, ...]]): Of each component that has some.
    prompt_bytes (int): What is trained at the backbone: prompt, layer mix, casing. head_bytes (int): All other weights.
    """

    name: str
    components: tuple[str, ...]
    labels: dict[str, tuple[str, ...]]
    prompt_bytes: int
    head_bytes: int


@dataclass(frozen=True)
class BankInfo:
    """A bank: its backbone with the bytes of its weights, and its tasks by name."""

    backbone: str
    fingerprint: str
    backbone_bytes: int
    tasks: dict[str, TaskInfo]


def describe_task(name: str, nlp: Language) -> TaskInfo:
    """Return what a pipeline is made of."""
    models = [pipe.model for _, pipe in nlp.pipeline if hasattr(pipe, "model")]
    nodes = {id(node): node for model in models for node in model.walk()}.values()
    shims = {id(shim): shim for model in models for shim in prompt_shims(model)}.values()
    return TaskInfo(
        name=name,
        components=tuple(nlp.pipe_names),
        labels={component: tuple(labels) for component, labels in nlp.pipe_labels.items() if labels},
        prompt_bytes=sum(_bytes(shim.encoder.parameters()) for shim in shims),
        head_bytes=sum(node.get_param(key).nbytes for node in nodes for key in node.param_names if node.has_param(key)),
    )


def describe_backbone(backbone: Backbone) -> str:
    """Return in words which backbone it is, and how it was loaded."""
    source = backbone.source
    quantized = "" if source.quantization is None else f", {source.quantization}"
    return f"{source.name!r} ({source.dtype}, {source.attention}{quantized}; fingerprint {backbone.fingerprint[:12]})"


def backbone_bytes(backbone: Backbone) -> int:
    """Return the bytes of its weights, as they lie in memory."""
    return _bytes([*backbone.model.parameters(), *backbone.model.buffers()])


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
