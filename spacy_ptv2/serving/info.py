"""What a bank contains, how many bytes that takes, and how it is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

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


@dataclass(frozen=True)
class TaskStatus:
    """The use of a task that is in memory.

    n_bytes (int): Of its tensors, and what its Python objects are reckoned at.
    n_texts (int): How many texts it was asked about. idle_seconds (float): Since the last one, or since it was loaded.
    """

    n_bytes: int
    n_texts: int
    idle_seconds: float


class StoreUse(NamedTuple):
    """The use of a store.

    limit (int | None), bytes (int): The most bytes of its tasks in memory, and those of the present ones.
    hits (int): Texts whose task was in memory. misses, failures (int): Tasks that were loaded, and that could not be.
    evictions (int): Tasks that left memory for others. loading_seconds (float): Of all loading.
    """

    limit: int | None
    bytes: int = 0
    hits: int = 0
    misses: int = 0
    failures: int = 0
    evictions: int = 0
    loading_seconds: float = 0.0


class BankStatus(NamedTuple):
    """The tasks in memory by name, and the use of the store; None without one."""

    tasks: dict[str, TaskStatus]
    store: StoreUse | None


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
