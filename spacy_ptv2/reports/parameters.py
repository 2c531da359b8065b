"""Where the trained numbers of a pipeline are: by layer of the backbone and by part of the adapter.

In: a loaded pipeline. Out: for each adapter a picture of its backbone, from the embeddings up to the heads.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from spacy.language import Language

from ..bridge.adapter_shim import AdapterShim
from ..parameter_groups import PARTS
from ..serialization.models import adapter_shims, trained_parameters

HEAD = PARTS[-1]


@dataclass(frozen=True)
class AdapterPicture:
    """How many numbers are trained where.

    component (str): The component that has the adapter. backbone (str): Its name.
    of_backbone (int): How many parameters the backbone has. totals (dict[str, int]): Trained numbers by part.
    embeddings (dict[str, int]), layers (list[dict[str, int]]): By part, in the embeddings and in each layer.
    """

    component: str
    backbone: str
    of_backbone: int
    n_layers: int
    totals: dict[str, int]
    embeddings: dict[str, int]
    layers: list[dict[str, int]]

    @property
    def total(self) -> int:
        """How many numbers are trained in it."""
        return sum(self.totals.values())


@dataclass(frozen=True)
class Parameters:
    """All trained numbers. heads (dict[str, int]): By component."""

    adapters: list[AdapterPicture] = field(default_factory=list)
    heads: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many numbers are trained."""
        return sum(adapter.total for adapter in self.adapters) + sum(self.heads.values())


def locate_parameters(nlp: Language) -> Parameters:
    """Return where the trained numbers of a pipeline are."""
    found = Parameters()
    for name, pipe in nlp.components:
        model = getattr(pipe, "model", None)
        if model is None:
            continue
        if n := trained_parameters([model]).get(HEAD):
            found.heads[name] = n
        found.adapters.extend(_picture(name, shim) for shim in adapter_shims(model) if shim.is_initialized)
    return found


def _picture(component: str, shim: AdapterShim) -> AdapterPicture:
    encoder, backbone = shim.encoder, shim.backbone
    embeddings: Counter[str] = Counter()
    layers: list[Counter[str]] = [Counter() for _ in range(backbone.n_layers)]
    for layer, length in zip(encoder.prompt.layers, encoder.prompt.lengths, strict=True):
        layers[layer]["prompt"] += 2 * length * encoder.prompt.width
    if encoder.lora is not None:
        for layer, weights in encoder.lora().items():
            layers[layer]["lora"] += weights.numel()
    if encoder.scalar_mix is not None:  # one share of each layer's hidden states, and one of the embeddings
        for place in (embeddings, *layers):
            place["scalar_mix"] += 1
    if encoder.word_shape is not None:
        place = embeddings if encoder.word_shape_layer is None else layers[encoder.word_shape_layer]
        place["word_shape"] += sum(parameter.numel() for parameter in encoder.word_shape.parameters())
    totals = sum(layers, start=Counter(embeddings))
    return AdapterPicture(
        component,
        shim.source.name,
        backbone.n_parameters,
        backbone.n_layers,
        {part: totals[part] for part in PARTS if totals[part]},
        dict(embeddings),
        [dict(layer) for layer in layers],
    )
