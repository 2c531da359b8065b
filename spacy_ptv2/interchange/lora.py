"""LoRA independent of any library, and how it is matched with the linear layers of a backbone.

In: matrices by the names of the modules that they change, in whatever model they were trained. Out: the same matrices
by layer and place, or a refusal. Nothing that changes a hidden state may be lost on the way.
Source: LoRA, Hu et al. 2021, section 4.1, https://arxiv.org/abs/2106.09685.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..adapters.lora import LoRA
from ..backbones.backbone import Backbone
from ..backbones.model_loading import UNUSED_WEIGHTS
from ..errors import Errors, FormatError

Matrices = tuple[torch.Tensor, torch.Tensor]  # A, Shape: (rank, n_in), and B transposed, Shape: (rank, n_out)
MOST_NAMES = 5  # how many names a message lists


@dataclass(frozen=True)
class ForeignLoRA:
    """LoRA from a file of another library.

    matrices (Mapping[str, Matrices]): By the name of a module, with the scale folded in.
    others (Sequence[str]): Names of tensors that are not LoRA, such as the weights of a head.
    backbone (str | None): The model's name in the file.
    """

    matrices: Mapping[str, Matrices]
    others: Sequence[str] = ()
    backbone: str | None = None

    @property
    def problem(self) -> str | None:
        """What is wrong with its numbers, or None."""
        if all(torch.isfinite(part).all() for pair in self.matrices.values() for part in pair):
            return None
        return "its matrices hold numbers that are not finite"


@dataclass(frozen=True)
class PlacedLoRA:
    """A foreign LoRA over one backbone.

    matrices (Mapping[tuple[int, int], Matrices]): By layer, and by the index of the linear layer in it.
    left_out (Sequence[str]): Names of tensors that act after the backbone's hidden states.
    """

    matrices: Mapping[tuple[int, int], Matrices]
    left_out: Sequence[str]

    @property
    def rank(self) -> int:
        """The largest rank."""
        return max(len(down) for down, _ in self.matrices.values())

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers that have LoRA."""
        return tuple(sorted({layer for layer, _ in self.matrices}))

    def copy_into(self, lora: LoRA, backbone: Backbone) -> None:
        """Overwrite a freshly initialised LoRA that has these layers and at least this rank.

        Linear layers and directions without matrices here stay as initialised: they add nothing, and can be trained.
        """
        with torch.no_grad():
            for (layer, place), pair in self.matrices.items():
                parts = _split(lora, backbone, layer)[place]
                for part, matrix in zip(parts, pair, strict=True):
                    part[: len(matrix)].copy_(matrix)


def linear_places(backbone: Backbone) -> dict[str, tuple[int, int]]:
    """Return, by the name of each linear layer, its layer and its index among the linear layers there.

    RAISES (FormatError): P513 if layers share their weights.
    """
    if backbone.layers_share_weights:
        raise FormatError(Errors.P513.format(name=backbone.source.name))
    names = {id(module): name for name, module in backbone.model.named_modules()}
    return {
        names[id(module)]: (layer, place)
        for layer, own in enumerate(backbone.linear_layers)
        for place, module in enumerate(own)
    }


def place_lora(foreign: ForeignLoRA, backbone: Backbone, path: Path) -> PlacedLoRA:
    """Match a foreign LoRA with the linear layers of a backbone.

    path (Path): Where it comes from, for messages.
    RAISES (FormatError): P504, P509, P510, P513 if something in it has no counterpart in this backbone.
    """
    places = linear_places(backbone)
    start = _start_of_names(foreign, places, path)
    left_out = [name for name in (*foreign.matrices, *foreign.others) if _comes_after(name, start)]
    own = {name.removeprefix(start): pair for name, pair in foreign.matrices.items() if not _comes_after(name, start)}
    unknown = [name for name in own if name not in places]
    if unknown:
        raise FormatError(Errors.P509.format(path=path, got=_listed(unknown), expected=_kinds(places)))
    others = [name for name in foreign.others if not _comes_after(name, start)]
    if others:
        raise FormatError(Errors.P504.format(path=path, feature=f"trained weights that are no LoRA: {_listed(others)}"))
    _check_shapes(own, places, backbone, path)
    both = [name for name, (_, up) in own.items() if reads_positions(name, backbone) and up.any()]
    if both:
        feature = f"LoRA that also reads relative positions in this backbone: {_listed(both)}"
        raise FormatError(Errors.P504.format(path=path, feature=feature))
    return PlacedLoRA({places[name]: pair for name, pair in own.items()}, left_out)


def named_matrices(lora: LoRA, backbone: Backbone) -> dict[str, Matrices]:
    """Return LoRA by the names of the linear layers that it changes; if it changes none, for all of them.

    RAISES (FormatError): P513 if layers share their weights.
    """
    found = {
        name: _split(lora, backbone, layer)[place]
        for name, (layer, place) in linear_places(backbone).items()
        if layer in lora.layers
    }
    return {name: pair for name, pair in found.items() if pair[1].any()} or found


def reads_positions(name: str, backbone: Backbone) -> bool:
    """Return whether a linear layer also reads relative positions. There our LoRA adds to pieces only."""
    shared = backbone.rule.also_read_positions(backbone.model.config)
    return any(part in name for part in shared)


def _split(lora: LoRA, backbone: Backbone, layer: int) -> list[Matrices]:
    """Return views of the matrices of each linear layer of a layer."""
    sizes = [width for pair in backbone.linear_widths[layer] for width in pair]
    parts = lora.weights.detach()[lora.layers.index(layer)].split(sizes, dim=1)
    return list(zip(parts[::2], parts[1::2], strict=True))


def _start_of_names(foreign: ForeignLoRA, places: Mapping[str, tuple[int, int]], path: Path) -> str:
    """Return the prefix of the backbone's own names in a model with a head, such as "bert."."""
    starts = set()
    for module in foreign.matrices:
        parts = module.split(".")
        ends = (".".join(parts[place:]) for place in range(len(parts)))
        known = next((end for end in ends if end in places), None)
        if known is not None:
            starts.add(module.removesuffix(known))
    if not starts:
        raise FormatError(Errors.P509.format(path=path, got=_listed(foreign.matrices), expected=_kinds(places)))
    if len(starts) > 1:
        feature = f"LoRA in several models ({_listed(sorted(starts))})"
        raise FormatError(Errors.P504.format(path=path, feature=feature))
    return str(starts.pop())


def _comes_after(name: str, start: str) -> bool:
    return not name.startswith(start) or name.removeprefix(start).startswith(UNUSED_WEIGHTS)


def _check_shapes(
    own: Mapping[str, Matrices], places: Mapping[str, tuple[int, int]], backbone: Backbone, path: Path
) -> None:
    for name, (down, up) in own.items():
        layer, place = places[name]
        got, expected = (down.shape[1], up.shape[1]), backbone.linear_widths[layer][place]
        if got != expected:
            raise FormatError(Errors.P510.format(path=path, name=name, got=got, expected=expected))


def _listed(names: Sequence[str] | Mapping[str, Matrices]) -> str:
    listed = list(names)
    rest = len(listed) - MOST_NAMES
    return ", ".join(listed[:MOST_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def _kinds(places: Mapping[str, tuple[int, int]]) -> str:
    """Return the names of the linear layers of the first layer."""
    return ", ".join(name for name, (layer, _) in places.items() if layer == 0)
