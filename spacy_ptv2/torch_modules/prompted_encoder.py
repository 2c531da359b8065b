"""A frozen backbone with a prompt, and what little is trained beside it.

In: `PieceBatch`es. Out: the hidden states of the pieces that are asked for. The backbone is no submodule: the
parameters of this module are exactly what trains and exactly what is saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from ..backbones.backbone import Backbone
from ..backbones.checkpointing import checkpointed
from ..backbones.injection import LayerPrompts, injected
from .attention_kernels import training_attention
from .layer_mix import LayerMix
from .prompt_encoder import PromptEncoder


@dataclass
class PieceBatch:
    """Padded windows for one forward pass.

    ids (Tensor): Shape: (windows, pieces). mask (Tensor): 1 for pieces, 0 for padding; same shape.
    casing (Tensor): The shape class of each piece's word, 0 for special pieces and padding; same shape.
    wanted (Tensor): Indices into windows x pieces, flattened, of the states to return. Shape: (n_wanted,)
    """

    ids: torch.Tensor
    mask: torch.Tensor
    casing: torch.Tensor
    wanted: torch.Tensor

    def to(self, device: torch.device) -> PieceBatch:
        """Return the batch on a device."""
        return PieceBatch(*(x.to(device) for x in (self.ids, self.mask, self.casing, self.wanted)))


class CasingEmbedding(nn.Embedding):
    """One vector per class of word shape, added to the piece embeddings; starts at zero, without effect."""

    def reset_parameters(self) -> None:
        """Start at zero."""
        nn.init.zeros_(self.weight)


class PromptedEncoder(nn.Module):
    """The frozen backbone and the trained modules around it.

    prompt (PromptEncoder): Keys and values. layer_mix, casing: Trained beside it, or None.
    backbone_dropout (bool): Run the backbone's own dropout on hidden states in training; attention_dropout (bool): also
    that on attention weights. shift_positions (bool): Positions of the pieces start behind the prompt.
    autocast (bool): Train in bfloat16. checkpointing (bool): Keep no activations inside the layers.
    """

    def __init__(
        self,
        *,
        backbone: Backbone,
        prompt: PromptEncoder,
        layer_mix: LayerMix | None,
        casing: CasingEmbedding | None,
        backbone_dropout: bool,
        attention_dropout: bool,
        shift_positions: bool,
        autocast: bool,
        checkpointing: bool,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.prompt = prompt
        self.layer_mix = layer_mix
        self.casing = casing
        self.backbone_dropout = backbone_dropout
        self.attention_dropout = attention_dropout
        self.shift_positions = shift_positions
        self.autocast = autocast
        self.checkpointing = checkpointing

    @property
    def beside_the_prompt(self) -> list[str]:
        """Names of what is trained beside the prompt."""
        return [name for name, _ in self.named_children() if name != "prompt"]

    def forward(self, batches: Sequence[PieceBatch]) -> torch.Tensor:
        """Return the wanted states of all batches, one after the other. Shape: (sum of n_wanted, hidden_width)"""
        device = self.backbone.device
        use_autocast = self.autocast and self.training
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=use_autocast):
            prompts = self.prompt()
        step = partial(self._step, prompts, device, training=self.training, bfloat16=use_autocast)
        recompute = checkpointed(step) if self.checkpointing else nullcontext()
        with step(), recompute:
            return torch.cat([self._wanted_states(batch.to(device), use_autocast) for batch in batches])

    def _wanted_states(self, batch: PieceBatch, use_autocast: bool) -> torch.Tensor:
        model = self.backbone.model
        embeddings = model.get_input_embeddings()(batch.ids)
        if self.casing is not None:
            casing = self.casing(batch.casing) * batch.mask.unsqueeze(-1)
            embeddings = embeddings + casing.to(embeddings.dtype)
        inputs = {"inputs_embeds": embeddings}
        if self.shift_positions:
            inputs = self.backbone.rule.shifted_inputs(model, embeddings, self.prompt.longest)
        with torch.autocast(batch.ids.device.type, dtype=torch.bfloat16, enabled=use_autocast):
            output = model(**inputs, attention_mask=batch.mask, output_hidden_states=self.layer_mix is not None)
        states = (output.last_hidden_state,) if self.layer_mix is None else output.hidden_states
        rows: list[torch.Tensor] = [state.flatten(0, 1).index_select(0, batch.wanted) for state in states]
        return rows[0].float() if self.layer_mix is None else self.layer_mix(rows)

    @contextmanager
    def _step(self, prompts: LayerPrompts, device: torch.device, *, training: bool, bfloat16: bool) -> Iterator[None]:
        """All that a layer's forward pass depends on beside its input; entered again when it is recomputed."""
        with self._backbone_mode(training), training_attention(device, bfloat16=bfloat16), injected(prompts):
            yield

    @contextmanager
    def _backbone_mode(self, training: bool) -> Iterator[None]:
        """Switch the backbone's dropout on for a training step; leave it in eval mode.

        Not inside attention, unless asked: dropping attention weights costs a random number per query, key and head,
        which is most of what attention costs on short rows.
        """
        model = self.backbone.model
        model.train(training and self.backbone_dropout)
        if not self.attention_dropout:
            for block in self.backbone.attention_blocks:
                self.backbone.rule.keep_attention_weights(block)
        try:
            yield
        finally:
            model.eval()
