"""The frozen model as the rest of the package sees it: weights, tokenizer, sizes, identity, and its injection rule.

A `Backbone` is shared by reference: copying a pipeline never copies it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from transformers.modeling_utils import PreTrainedModel

from ..injection.family import Family
from ..injection.hooks import open_dropout, open_for_injection
from ..injection.lora import Widths, linear_widths
from ..injection.twins import make_twin
from .pair_pieces import PairPieces, find_pair_pieces
from .source import BackboneSource, Candidate, Recorded


@dataclass(eq=False)
class Backbone:
    """A frozen pretrained transformer, ready to take adapters.

    source (BackboneSource): What the config asked for.
    found (Candidate): The folder that it was loaded from.
    fingerprint (str): The identity of its files.
    model (PreTrainedModel): The frozen model, always in eval mode; see `in_training`.
    tokenizer: Its fast tokenizer.
    rule (Family): How adapters get into its layers.
    """

    source: BackboneSource
    found: Candidate
    fingerprint: str
    model: PreTrainedModel
    tokenizer: Any
    rule: Family
    _twins: dict[bool, PreTrainedModel] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def path(self) -> Path:
        """The folder that it was loaded from."""
        return self.found.path

    @property
    def precision(self) -> str:
        """The dtype of its weights and of its computation, such as "bfloat16"."""
        return str(self.model.dtype).removeprefix("torch.")

    @property
    def trains(self) -> bool:
        """Whether its own weights train, as full fine-tuning for comparison has it. They are frozen otherwise."""
        return next(self.model.parameters()).requires_grad

    @property
    def recorded(self) -> Recorded:
        """What a pipeline trained on it should record."""
        return Recorded(self.fingerprint, self.found.revision, self.found.requirement)

    @cached_property
    def special_pieces(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ids of the special pieces before and after every window."""
        encoding = self.tokenizer("a", add_special_tokens=True, return_special_tokens_mask=True)
        ids, special = encoding["input_ids"], encoding["special_tokens_mask"]
        body = [i for i, flag in enumerate(special) if not flag]
        return tuple(ids[: body[0]]), tuple(ids[body[-1] + 1 :])

    @cached_property
    def pair_pieces(self) -> PairPieces:
        """The special pieces around two texts, and their token types."""
        return find_pair_pieces(self.tokenizer)

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """Ids of special pieces, which no text may get. The piece for unknown words is not one of them."""
        return frozenset(self.tokenizer.all_special_ids) - {self.tokenizer.unk_token_id}

    @property
    def pad_id(self) -> int:
        """Id of the piece that pads short windows. Padding is masked, so any id will do if a tokenizer has none."""
        return int(self.tokenizer.pad_token_id or 0)

    @property
    def n_layers(self) -> int:
        """Number of layers that can take a prompt."""
        return len(self.rule.layers(self.model))

    @property
    def hidden_width(self) -> int:
        """Width of its hidden states."""
        return self.rule.hidden_width(self.model.config)

    @property
    def key_width(self) -> int:
        """Width of a layer's keys, and of its values, all heads together (often the hidden width)."""
        return self.rule.key_width(self.model.config)

    @cached_property
    def linear_widths(self) -> tuple[Widths, ...]:
        """For each layer, the input and output widths of its linear layers."""
        return tuple(linear_widths(self.rule.linear_layers(layer)) for layer in self.rule.layers(self.model))

    @property
    def lora_width(self) -> int:
        """Number of LoRA parameters of a layer per unit of rank."""
        return sum(map(sum, self.linear_widths[0]))

    @property
    def n_key_heads(self) -> int:
        """Number of heads of a layer's keys and values."""
        config = self.model.config
        return int(getattr(config, "num_key_value_heads", None) or config.num_attention_heads)

    @property
    def attention_blocks(self) -> list[torch.nn.Module]:
        """The self-attention of each layer."""
        return self.blocks_of(self.model)

    def blocks_of(self, model: PreTrainedModel) -> list[torch.nn.Module]:
        """Return the self-attention of each layer of the model or of its twin for training."""
        return [self.rule.attention(layer) for layer in self.rule.layers(model)]

    def in_training(self, *, attention_dropout: bool) -> PreTrainedModel:
        """Return the model with its own dropout on: the same weights in other modules, whose mode never changes.

        attention_dropout (bool): Also drop attention weights. That takes a random number per query, key and head, most
            of the time of attention on short rows.
        """
        with self._lock:
            if attention_dropout not in self._twins:
                twin = make_twin(self.model)
                open_for_injection(twin, self.rule, self.source.attention)
                open_dropout(twin, self.rule)
                shared = set(self.model.modules())
                for module in twin.modules():
                    module.training = module not in shared
                for block in [] if attention_dropout else self.blocks_of(twin):
                    self.rule.keep_attention_weights(block)
                self._twins[attention_dropout] = twin
            return self._twins[attention_dropout]

    @property
    def _embeddings(self) -> torch.nn.Embedding:
        return cast(torch.nn.Embedding, self.model.get_input_embeddings())

    @cached_property
    def _type_embeddings(self) -> torch.Tensor | None:
        return self.rule.type_embeddings(self.model)

    def with_types(self, embeddings: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        """Return piece embeddings with token types added, allowing for type 0, which the model adds to all of them.

        If the model has no token types, they are returned unchanged.
        embeddings (Tensor): Shape: (batch, pieces, width)
        types (Tensor): Shape: (batch, pieces)
        RAISES (PTuningError): P222.
        """
        table = self._type_embeddings
        if table is None or len(table) < 2:
            return embeddings
        return embeddings + (table[types] - table[0]).to(embeddings.dtype)

    @property
    def n_embeddings(self) -> int:
        """Number of pieces that it has embeddings for."""
        return self._embeddings.num_embeddings

    @property
    def embedding_width(self) -> int:
        """Width of its piece embeddings (ELECTRA's is smaller than its hidden width)."""
        return self._embeddings.embedding_dim

    @property
    def max_positions(self) -> int:
        """Number of positions: the length of the longest sequence that it reads, special pieces included."""
        return self.rule.max_positions(self.model.config)

    @cached_property
    def n_parameters(self) -> int:
        """Number of its parameters, all of them frozen."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def device(self) -> torch.device:
        """The device of its weights, which never changes. `registry.on_device` loads the same backbone elsewhere."""
        return self.model.device

    def __deepcopy__(self, memo: dict[int, Any]) -> Backbone:
        """Return this very object: it is frozen, so a copied pipeline shares it."""
        return self

    def __copy__(self) -> Backbone:
        """As `__deepcopy__`."""
        return self
