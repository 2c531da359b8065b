"""A frozen backbone with a prompt, and what little is trained beside it.

What one encoder contributes to a pass of the backbone, which `joint_pass.py` runs for one or several. The backbone is
no submodule: the parameters of this module are exactly what trains and exactly what is saved.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from contextlib import nullcontext

import torch
from torch import nn
from transformers.modeling_utils import PreTrainedModel

from ..backbones.backbone import Backbone
from ..backbones.draws import Draws, drawing_from
from ..backbones.injection import LayerAdapters, LayerPrompts
from ..engines.engine import get_engine
from ..options import EngineName
from .adapter import LowRankAdapter
from .batches import PieceBatch
from .layer_mix import LayerMix
from .prompt_encoder import PromptEncoder
from .state_cache import StateCache

# States inside the layers are larger by this order than piece embeddings, so that one learning rate fits both places.
CASING_GAIN = 10.0


class CasingEmbedding(nn.Embedding):
    """One vector per class of word shape, added to the pieces; starts at zero, without effect."""

    def reset_parameters(self) -> None:
        """Start at zero."""
        nn.init.zeros_(self.weight)


class PromptedEncoder(nn.Module):
    """The frozen backbone and the trained modules around it.

    prompt (PromptEncoder): Keys and values. layer_mix: Trained beside it, or None. adapter: Likewise. casing,
    casing_layer: See `place_casing`; None without.
    backbone_dropout (bool): Run the backbone's own dropout on hidden states in training, from the first layer that is
    not the bare backbone's; attention_dropout (bool): also that on attention weights. What is dropped follows from
    one number per pass, which torch's generator for CPUs draws: so from its seed, whenever that is set.
    shift_positions (bool): Positions of the pieces start behind the prompt. autocast (bool): Train in bfloat16 over
    weights of another type. checkpointing (bool): Keep no activations inside the layers. state_cache (StateCache |
    None): Where training keeps the states below the first layer that is not the bare backbone's. engine (EngineName):
    What runs the backbone in prediction.
    """

    def __init__(
        self,
        *,
        backbone: Backbone,
        prompt: PromptEncoder,
        adapter: LowRankAdapter | None,
        layer_mix: LayerMix | None,
        backbone_dropout: bool,
        attention_dropout: bool,
        shift_positions: bool,
        autocast: bool,
        checkpointing: bool,
        state_cache: StateCache | None = None,
        engine: EngineName = "torch",
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.prompt = prompt
        self.adapter = adapter
        self.layer_mix = layer_mix
        self.casing: CasingEmbedding | None = None
        self.casing_layer: int | None = None
        self.backbone_dropout = backbone_dropout
        self.attention_dropout = attention_dropout
        self.shift_positions = shift_positions
        self.autocast = autocast
        self.checkpointing = checkpointing
        self.state_cache = state_cache
        self.engine = engine
        self._reserved: int | None = None
        self._random = random.Random(0)

    @property
    def beside_the_prompt(self) -> list[str]:
        """Names of what is trained beside the prompt."""
        return [name for name, _ in self.named_children() if name != "prompt"]

    @property
    def model(self) -> PreTrainedModel:
        """The backbone's model as it now runs, with its own dropout or without."""
        if self.training and self.backbone_dropout:
            return self.backbone.in_training(attention_dropout=self.attention_dropout)
        return self.backbone.model

    def autocasting(self) -> torch.autocast:
        """Return the context in which its passes run."""
        enabled = self.autocast and self.training
        return torch.autocast(self.backbone.device.type, dtype=torch.bfloat16, enabled=enabled)

    @property
    def precision(self) -> str:
        """What it predicts in, as "bfloat16" or "int8 in OpenVINO"; where it is equal, predictions are."""
        engine = get_engine(self.backbone, self.engine)
        return self.backbone.precision if engine is None else engine.precision(self.backbone)

    @property
    def plain_attention(self) -> bool:
        """Whether attention is written out: in training in bfloat16 on a CPU.

        There a step with torch's fused kernel takes 2 to 5 times as long, most on short rows; in float32, and in
        prediction but for many short rows, the fused one is the faster (benchmarks/attention_kernels.py).
        """
        in_bfloat16 = self.autocast or self.backbone.precision == "bfloat16"
        return self.training and in_bfloat16 and self.backbone.device.type == "cpu"

    def place_casing(self, layer: int | None, n_classes: int) -> None:
        """Add a casing embedding, or move it, at its start.

        layer (int | None): The layer whose input it joins, None for the piece embeddings. n_classes (int): Word shapes.
        """
        backbone = self.backbone
        width = backbone.embedding_width if layer is None else backbone.hidden_width
        self.casing = CasingEmbedding(n_classes, width).to(backbone.device)
        self.casing_layer = layer

    def reserve_seed(self) -> int:
        """Draw now what decides on dropout in the next training pass, if that was not done yet, and return it."""
        if self._reserved is None:
            self._reserved = int(torch.randint(1 << 62, ()))
        return self._reserved

    def begin_pass(self) -> int:
        """Begin a training pass, over one or several batches. RETURNS (int): The seed of all that it draws."""
        seed = self.reserve_seed()
        self._random, self._reserved = random.Random(seed), None
        return seed

    def draw_prompts(self) -> Callable[[int], LayerPrompts]:
        """Return what gives {layer: its prompt} for so many rows, in training under its dropout.

        All rows that it is called for have one prompt, drawn by now, or each has its own.
        """
        if self.training and self.prompt.dropout_per_row:
            return self._draw
        prompts = self._draw(None)
        return lambda n_rows: prompts

    def _draw(self, n_rows: int | None) -> LayerPrompts:
        seed = self._random.getrandbits(62) if self.training else None
        with self.autocasting(), nullcontext() if seed is None else drawing_from(seed, self.backbone.device):
            prompts: LayerPrompts = self.prompt(n_rows)
        return prompts

    def adapters(self) -> LayerAdapters:
        """Return {layer: its adapter}."""
        return {} if self.adapter is None else self.adapter()

    def draws(self) -> Draws | None:
        """Return what the backbone drops in the next batch, None where it drops nothing."""
        if not self.training or not self.backbone_dropout:
            return None
        return Draws(self._random.getrandbits(62), self.first_layer)

    @property
    def first_layer(self) -> int:
        """The first layer whose input or attention is not that of the bare backbone; n_layers if there is none."""
        if self.casing is not None and self.casing_layer is None:
            return 0
        layers = [layer for layer, length in zip(self.prompt.layers, self.prompt.lengths, strict=True) if length]
        if self.adapter is not None:
            layers.extend(self.adapter.layers)
        if self.casing is not None and self.casing_layer is not None:
            layers.append(self.casing_layer)
        return min(layers, default=self.backbone.n_layers)

    @property
    def shift(self) -> int | None:
        """How many positions the prompt takes up, None where it takes up none."""
        return self.prompt.longest if self.shift_positions else None

    def pass_settings(self, *, training: bool) -> tuple[Hashable, ...]:
        """Return what must be equal for encoders that run in one pass: backbone, positions, in training its mode."""
        mode = (self.backbone_dropout, self.attention_dropout, self.autocast, self.checkpointing)
        return id(self.backbone), self.shift, mode if training else self.engine

    def added(self, batch: PieceBatch, rows: torch.Tensor) -> dict[int | None, torch.Tensor]:
        """Return what the casing adds to some windows, by the layer it joins. Shape of each: (rows, pieces, width)"""
        if self.casing is None:
            return {}
        casing: torch.Tensor = self.casing(batch.casing[rows])
        gain = 1.0 if self.casing_layer is None else CASING_GAIN
        return {self.casing_layer: casing * gain * batch.mask[rows].unsqueeze(-1)}

    def read(self, states: Sequence[torch.Tensor], wanted: torch.Tensor) -> torch.Tensor:
        """Return the vectors of wanted pieces.

        states: The last layer's, with a layer mix those of all layers. Shape of each: (rows, pieces, hidden_width).
        RETURNS: Shape: (n_wanted, hidden_width), in float32
        """
        rows = [state.flatten(0, 1).index_select(0, wanted) for state in states]
        read: torch.Tensor = rows[-1].float() if self.layer_mix is None else self.layer_mix(rows)
        return read
