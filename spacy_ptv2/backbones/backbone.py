"""The frozen model as the rest of the package sees it: weights, tokenizer, sizes, identity, and its injection rule.

A `Backbone` is shared by reference: copying a pipeline never copies it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..injection.context import Widths
from .pair_pieces import PairPieces, find_pair_pieces
from .sizes import Sizes, keep_sizes, map_embeddings
from .source import BackboneSource, Candidate, Recorded

if TYPE_CHECKING:
    from transformers.modeling_utils import PreTrainedModel

    from ..injection.family import Family


@dataclass(eq=False)
class Backbone:
    """A frozen pretrained transformer, ready to take adapters.

    source (BackboneSource): What the config asked for.
    found (Candidate): The folder that it was loaded from.
    fingerprint (str): The identity of its files.
    tokenizer: Its fast tokenizer.
    device (torch.device): Of its weights. It never changes; `registry.on_device` loads the same backbone elsewhere.
    sizes (Sizes): The numbers of its model.
    load_model (Callable[[], PreTrainedModel]): Returns its model, once that is asked for.
    """

    source: BackboneSource
    found: Candidate
    fingerprint: str
    tokenizer: Any
    device: torch.device
    sizes: Sizes
    load_model: Callable[[], PreTrainedModel]
    _model: PreTrainedModel | None = field(default=None, repr=False)
    _twins: dict[bool, PreTrainedModel] = field(default_factory=dict, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def model(self) -> PreTrainedModel:
        """The frozen model, always in eval mode; see `in_training`. It may be loaded only now.

        RAISES (BackboneError): P105 or P108 if its files are no longer those that there were.
        """
        if self._model is None:
            with self._lock:
                if self._model is None:
                    self._model = self.load_model()
        return self._model

    @cached_property
    def rule(self) -> Family:
        """How adapters get into its layers."""
        from ..injection.families import find_family

        return find_family(self.model.config, self.path)

    @property
    def path(self) -> Path:
        """The folder that it was loaded from."""
        return self.found.path

    @property
    def precision(self) -> str:
        """The dtype of its weights and of its computation, such as "bfloat16"."""
        return self.sizes.precision

    @property
    def trains(self) -> bool:
        """Whether its own weights train, as full fine-tuning for comparison has it. They are frozen otherwise."""
        return self._model is not None and next(self._model.parameters()).requires_grad

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
        return self.sizes.n_layers

    @property
    def hidden_width(self) -> int:
        """Width of its hidden states."""
        return self.sizes.hidden_width

    @property
    def key_width(self) -> int:
        """Width of a layer's keys, and of its values, all heads together (often the hidden width)."""
        return self.sizes.key_width

    @property
    def linear_widths(self) -> tuple[Widths, ...]:
        """For each layer, the input and output widths of its linear layers."""
        return self.sizes.linear_widths

    @property
    def lora_width(self) -> int:
        """Number of LoRA parameters of a layer per unit of rank."""
        return sum(map(sum, self.linear_widths[0]))

    @property
    def n_key_heads(self) -> int:
        """Number of heads of a layer's keys and values."""
        return self.sizes.n_key_heads

    @property
    def linear_layers(self) -> list[Sequence[torch.nn.Module]]:
        """The linear layers of each layer."""
        return self.linear_layers_of(self.model)

    def linear_layers_of(self, model: PreTrainedModel) -> list[Sequence[torch.nn.Module]]:
        """Return the linear layers of each layer of the model or of a copy."""
        return [self.rule.linear_layers(layer) for layer in self.rule.layers(model)]

    @property
    def layers_share_weights(self) -> bool:
        """Whether layers have the weights of their linear layers in common (ALBERT)."""
        weights = [id(module.weight) for own in self.linear_layers for module in own]
        return len(set(weights)) < len(weights)

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
        from ..injection.hooks import open_dropout, open_for_injection
        from ..injection.twins import make_twin

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

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the embeddings of pieces. Shape: (...) -> (..., embedding_width)"""
        if self._model is None and self.sizes.embeddings:
            return self._mapped_embeddings(ids)
        embeddings: torch.Tensor = self.model.get_input_embeddings()(ids)
        return embeddings

    @cached_property
    def _mapped_embeddings(self) -> Callable[[torch.Tensor], torch.Tensor]:
        return map_embeddings(self.path, self.sizes)

    def keep_sizes(self) -> None:
        """Let later processes know its sizes without loading its model."""
        keep_sizes(self.source, self.fingerprint, self.path, self.model, self.sizes)

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
        return self.sizes.n_embeddings

    @property
    def embedding_width(self) -> int:
        """Width of its piece embeddings (ELECTRA's is smaller than its hidden width)."""
        return self.sizes.embedding_width

    @property
    def max_positions(self) -> int:
        """Number of positions: the length of the longest sequence that it reads, special pieces included."""
        return self.sizes.max_positions

    @property
    def n_parameters(self) -> int:
        """Number of its parameters, all of them frozen."""
        return self.sizes.n_parameters

    def __deepcopy__(self, memo: dict[int, Any]) -> Backbone:
        """Return this very object: it is frozen, so a copied pipeline shares it."""
        return self

    def __copy__(self) -> Backbone:
        """As `__deepcopy__`."""
        return self
