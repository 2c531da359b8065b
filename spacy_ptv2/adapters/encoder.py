"""A frozen backbone with its adapter: prompt, LoRA, scalar mix and word shape.

An encoder provides what its adapter contributes to a backbone pass; `joint_pass.py` runs passes for one or several
encoders. The backbone is not a submodule: this module's parameters are exactly what trains and what is saved.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..backbones.backbone import Backbone
from ..engines.engine import get_engine
from ..engines.graph_inputs import GraphForm, GraphInputs
from ..injection.context import LayerLinears, LayerLoRA, LayerPrompts
from ..injection.dropout import Draws, drawing_from
from ..injection.folded import FoldedLoRA
from ..options import RuntimeOptions
from .hidden_state_cache import HiddenStateCache
from .lora import LoRA
from .lora_folding import LoRAFolding
from .prompt import PromptEncoder
from .scalar_mix import ScalarMix

if TYPE_CHECKING:
    from transformers.modeling_utils import PreTrainedModel

# Hidden states are about this much larger than piece embeddings. With the gain one learning rate fits both places.
WORD_SHAPE_GAIN = 10.0


class WordShapeEmbedding(nn.Embedding):
    """One vector per class of word shape, added to the pieces. It starts at zero and so without effect."""

    def reset_parameters(self) -> None:
        """Set all vectors to zero."""
        nn.init.zeros_(self.weight)


class AdaptedEncoder(nn.Module):
    """The frozen backbone and the trained modules around it.

    backbone (Backbone): The frozen model.
    prompt (PromptEncoder): Keys and values before the attention of some layers.
    lora (LoRA | None): Low-rank matrices added to the linear layers; None for no LoRA.
    scalar_mix (ScalarMix | None): The mix of all layers that is read; None to read the last layer.
    shift_positions (bool): Count the positions of the pieces from after the prompt.
    autocast (bool): Train in bfloat16 over weights of another type.
    hidden_state_cache (HiddenStateCache | None): Where training keeps the hidden states below the first layer that the
        adapter changes.
    runtime (RuntimeOptions): How the backbone runs. Its dropout masks follow from one number per pass, drawn from
        torch's CPU generator, so the seed of that generator determines them.
    word_shape, word_shape_layer: See `place_word_shape`; None without a word shape.
    """

    def __init__(
        self,
        *,
        backbone: Backbone,
        prompt: PromptEncoder,
        lora: LoRA | None,
        scalar_mix: ScalarMix | None,
        shift_positions: bool,
        autocast: bool,
        hidden_state_cache: HiddenStateCache | None,
        runtime: RuntimeOptions,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.prompt = prompt
        self.lora = lora
        self.scalar_mix = scalar_mix
        self.word_shape: WordShapeEmbedding | None = None
        self.word_shape_layer: int | None = None
        self.shift_positions = shift_positions
        self.autocast = autocast
        self.hidden_state_cache = hidden_state_cache
        self.runtime = runtime
        self.folding = LoRAFolding() if runtime.fold_lora else None
        self._reserved: int | None = None
        self._random = random.Random(0)

    @property
    def beside_the_prompt(self) -> list[str]:
        """Names of the modules that are trained in addition to the prompt."""
        return [name for name, _ in self.named_children() if name != "prompt"]

    @property
    def model(self) -> PreTrainedModel:
        """The backbone's model in its current mode, with or without its own dropout."""
        if self.training and self.runtime.backbone_dropout:
            return self.backbone.in_training(attention_dropout=self.runtime.attention_dropout)
        return self.backbone.model

    def autocasting(self) -> torch.autocast:
        """Return the autocast context in which its passes run."""
        enabled = self.autocast and self.training
        return torch.autocast(self.backbone.device.type, dtype=torch.bfloat16, enabled=enabled)

    @property
    def precision(self) -> str:
        """The precision of prediction, such as "bfloat16" or "int8 in OpenVINO". Predictions agree where it does."""
        engine = get_engine(self.backbone, self.runtime.engine)
        precision = self.backbone.precision if engine is None else engine.precision(self.backbone)
        return precision if precision == "float32" or self.folded() is None else f"{precision}, LoRA folded"

    def graph_form(self, folded: FoldedLoRA | None = None) -> GraphForm:
        """Return what determines the graph that an engine runs it in. folded: See `folded`; None to read LoRA."""
        added = () if self.word_shape is None or self.word_shape_layer is None else (self.word_shape_layer,)
        reads_lora, digest = (self.lora is not None, "") if folded is None else (False, folded.digest)
        mixes = self.scalar_mix is not None
        return GraphForm(added, self.shift, all_states=mixes, loras=reads_lora, folded=digest)

    def folded(self) -> FoldedLoRA | None:
        """Return its LoRA as it is now, to be folded into weights in prediction; None if it stays beside them."""
        folding, backbone = self.folding, self.backbone
        if folding is None or self.lora is None or backbone.trains or backbone.source.quantization is not None:
            return None
        return folding.of(self.lora())

    def load_weights(self) -> None:
        """Load the backbone's model, unless an engine has a graph that predicts without it."""
        engine = get_engine(self.backbone, self.runtime.engine)
        if engine is None or not engine.has_graph(self.backbone, self.graph_form(self.folded())):
            _ = self.backbone.model

    @property
    def plain_attention(self) -> bool:
        """Whether to use plain attention instead of torch's fused kernel: when training in bfloat16 on a CPU.

        There a step with the fused kernel takes 2 to 5 times as long, the most on short rows. In float32, and in
        prediction except with many short rows, the fused kernel is faster (benchmarks/speed/attention_kernels.py).
        """
        in_bfloat16 = self.autocast or self.backbone.precision == "bfloat16"
        return self.training and in_bfloat16 and self.backbone.device.type == "cpu"

    def place_word_shape(self, layer: int | None, n_classes: int) -> None:
        """Add a new word shape embedding, replacing any that is there.

        layer (int | None): The layer whose input it is added to, None for the piece embeddings.
        n_classes (int): Number of word shapes.
        """
        backbone = self.backbone
        width = backbone.embedding_width if layer is None else backbone.hidden_width
        self.word_shape = WordShapeEmbedding(n_classes, width).to(backbone.device)
        self.word_shape_layer = layer

    def reserve_seed(self) -> int:
        """Draw the seed of dropout in the next training pass, unless that is done already, and return it."""
        if self._reserved is None:
            self._reserved = int(torch.randint(1 << 62, ()))
        return self._reserved

    def begin_pass(self) -> int:
        """Begin a training pass over one or several batches. RETURNS (int): The seed of everything it draws."""
        seed = self.reserve_seed()
        self.folding = None  # until it is loaded again: with every evaluation the numbers would be others
        self._random, self._reserved = random.Random(seed), None
        return seed

    def draw_prompts(self) -> Callable[[int], LayerPrompts]:
        """Return a function from a number of rows to {layer: its prompt}, with the prompt's dropout in training.

        Either all rows share one prompt, already drawn, or each row gets its own at the call.
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

    def loras(self) -> LayerLoRA:
        """Return {layer: its LoRA}."""
        return {} if self.lora is None else self.lora()

    def linears(self, folded: FoldedLoRA | None) -> LayerLinears:
        """Return {layer: linear layers with LoRA in their weights}, {} if it stays beside them."""
        folding = self.folding
        return {} if folded is None or folding is None else folding.linears(folded, self.backbone)

    def draws(self) -> Draws | None:
        """Return the source of the backbone's dropout masks for the next batch, None if it drops nothing."""
        if not self.training or not self.runtime.backbone_dropout:
            return None
        return Draws(self._random.getrandbits(62), self.first_layer)

    @property
    def first_layer(self) -> int:
        """The first layer that trains, in its input or in itself; n_layers if there is none."""
        if self.backbone.trains or (self.word_shape is not None and self.word_shape_layer is None):
            return 0
        layers = [layer for layer, length in zip(self.prompt.layers, self.prompt.lengths, strict=True) if length]
        if self.lora is not None:
            layers.extend(self.lora.layers)
        if self.word_shape is not None and self.word_shape_layer is not None:
            layers.append(self.word_shape_layer)
        return min(layers, default=self.backbone.n_layers)

    @property
    def shift(self) -> int | None:
        """How many positions the prompt takes up, None if positions are not shifted."""
        return self.prompt.longest if self.shift_positions else None

    def pass_settings(self, *, training: bool) -> tuple[Hashable, ...]:
        """Return what must be equal for encoders to share a pass: backbone, shift, mode in training or engine."""
        runtime = self.runtime
        dropout = (runtime.backbone_dropout, runtime.attention_dropout)
        mode = (*dropout, self.autocast, runtime.gradient_checkpointing)
        return id(self.backbone), self.shift, mode if training else runtime.engine

    def inputs_of(
        self, prompt: LayerPrompts, embeddings: torch.Tensor, mask: torch.Tensor, word_shapes: torch.Tensor
    ) -> GraphInputs:
        """Return what a pass of the backbone reads of some windows.

        embeddings (Tensor): Piece embeddings. Shape: (rows, pieces, embedding_width)
        mask (Tensor), word_shapes (Tensor): See `PieceBatch`.
        """
        added = self.added(mask, word_shapes)
        if None in added:
            embeddings = embeddings + added[None].to(embeddings.dtype)
        inside = {layer: states for layer, states in added.items() if layer is not None}
        return GraphInputs(embeddings, mask, prompt, inside, self.loras())

    def added(self, mask: torch.Tensor, word_shapes: torch.Tensor) -> dict[int | None, torch.Tensor]:
        """Return what the word shape adds to some windows, by layer. Shape of each: (rows, pieces, width)"""
        if self.word_shape is None:
            return {}
        word_shape: torch.Tensor = self.word_shape(word_shapes)
        gain = 1.0 if self.word_shape_layer is None else WORD_SHAPE_GAIN
        return {self.word_shape_layer: word_shape * gain * mask.unsqueeze(-1)}

    def read(self, states: Sequence[torch.Tensor], wanted: torch.Tensor) -> torch.Tensor:
        """Return the vectors of the wanted pieces.

        states (Sequence[Tensor]): The last layer's hidden states, with a scalar mix those of all layers. Shape of
            each: (rows, pieces, hidden_width)
        wanted (Tensor): See `Reading`. Shape: (n_wanted,)
        RETURNS (Tensor): In float32. Shape: (n_wanted, hidden_width)
        """
        return self.mix([state.flatten(0, 1).index_select(0, wanted) for state in states])

    def mix(self, states: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the vectors that are read of the hidden states of `read`, in float32."""
        mixed: torch.Tensor = states[-1].float() if self.scalar_mix is None else self.scalar_mix(states)
        return mixed
