"""What a bank contains, and how many bytes its tensors take."""

from __future__ import annotations

from dataclasses import dataclass

from spacy.language import Language

from ..backbones.backbone import Backbone
from ..parameter_groups import BYTES_PER_NUMBER
from ..serialization.models import trained_parameters


@dataclass(frozen=True)
class TaskInfo:
    """One task of a bank.

    components (tuple[str, ...]): Names, in order.
    labels (dict[str, tuple[str, ...]]): The labels of each component that has any.
    adapter_bytes, head_bytes (int): Of the parameters trained inside the backbone, and of all other weights.
    """

    name: str
    components: tuple[str, ...]
    labels: dict[str, tuple[str, ...]]
    adapter_bytes: int
    head_bytes: int


@dataclass(frozen=True)
class BankInfo:
    """A bank: its backbone, the bytes of the backbone's weights, and its tasks by name."""

    backbone: str
    fingerprint: str
    backbone_bytes: int
    tasks: dict[str, TaskInfo]


def describe_task(name: str, nlp: Language) -> TaskInfo:
    """Return the components, labels and sizes of a pipeline."""
    models = [pipe.model for _, pipe in nlp.pipeline if hasattr(pipe, "model")]
    sizes = {part: BYTES_PER_NUMBER * count for part, count in trained_parameters(models).items()}
    return TaskInfo(
        name=name,
        components=tuple(nlp.pipe_names),
        labels={component: tuple(labels) for component, labels in nlp.pipe_labels.items() if labels},
        adapter_bytes=sum(size for part, size in sizes.items() if part not in ("head", "backbone")),
        head_bytes=sizes.get("head", 0),
    )


def describe_backbone(backbone: Backbone) -> str:
    """Return which backbone it is and how it was loaded, as text for messages."""
    source = backbone.source
    quantized = "" if source.quantization is None else f", {source.quantization}"
    settings = f"{backbone.precision}, {source.attention}{quantized}"
    return f"{source.name!r} ({settings}; fingerprint {backbone.fingerprint[:12]})"


def backbone_bytes(backbone: Backbone) -> int:
    """Return the bytes that its weights take in memory."""
    tensors = [*backbone.model.parameters(), *backbone.model.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
