"""Training steps in plain torch on padded pieces: our encoder, PEFT, a prompt per row, and the bare backbone.

Each loop has a linear head on the first piece of every token, cross-entropy, AdamW, and the norm clipped at 1. The
prompt per row follows Liu et al. 2021, section 3.3, https://arxiv.org/abs/2110.07602, as it is commonly written:
an embedding is looked up for every row of the batch and goes into the model as `past_key_values`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from spacy.language import Language
from spacy.training import Example
from torch import nn
from torch.backends import cuda as kernel_flags  # named after CUDA, but the flags hold for CPUs as well
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModel, DynamicCache
from transformers.modeling_utils import PreTrainedModel

from spacy_ptv2 import BackboneSource, PromptOptions, find_backbone
from spacy_ptv2.adapters.batches import PieceBatch
from spacy_ptv2.adapters.build import build_encoder
from spacy_ptv2.adapters.joint_pass import read_batches
from spacy_ptv2.alignment.batches import batch_windows
from spacy_ptv2.alignment.encoded import WantedStates
from spacy_ptv2.alignment.encoding import encode_docs
from spacy_ptv2.alignment.windows import resolve_limits
from spacy_ptv2.alignment.word_shape import N_WORD_SHAPES
from spacy_ptv2.backbones.backbone import Backbone
from spacy_ptv2.options import AdapterOptions, RuntimeOptions, Switch
from spacy_ptv2.pipeline.tag_schemes import TagScheme

UNKNOWN = -100  # what cross_entropy leaves out
ENDLESS = 1 << 40  # pieces
ATTENTION_DROPOUT = ("attention_probs_dropout_prob", "attention_dropout")


@dataclass(frozen=True)
class TorchBatch:
    """Padded pieces of a batch of sentences, with the first piece of every token wanted, and the tag of each of these.

    pieces (PieceBatch): One, whatever its size. tags (Tensor): Shape: (n_tokens,)
    """

    pieces: PieceBatch
    tags: torch.Tensor

    @property
    def wanted(self) -> torch.Tensor:
        """Indices into rows x pieces, flattened. Shape: (n_tokens,)"""
        return self.pieces.readings[0].wanted


def pad_examples(examples: Sequence[Example], backbone: Backbone, scheme: TagScheme) -> TorchBatch:
    """Return a batch of sentences as the pieces that our own pipeline makes of them."""
    prefix, suffix = backbone.special_pieces
    limits = resolve_limits(None, 0, most=backbone.max_positions, n_special=len(prefix) + len(suffix), shift=0)
    encoded = encode_docs([example.x for example in examples], backbone, limits, with_word_shapes=True)
    rows = encoded.rows
    first = np.cumsum(rows.lengths) - rows.lengths
    wanted = WantedStates(rows.states.window[first], rows.states.column[first])
    endless = {"budget": ENDLESS, "per_batch": ENDLESS}
    windows = batch_windows(encoded.windows, [wanted], pad_id=backbone.pad_id, is_train=True, **endless)
    gold = [tag for example in examples for tag in scheme.encode(example.get_aligned_ner())]
    tags = torch.empty(len(gold), dtype=torch.long)
    tags[windows.orders[0]] = torch.tensor([UNKNOWN if tag is None else tag for tag in gold])
    return TorchBatch(windows.batches[0], tags)


def pad_batches(
    nlp: Language, batches: Sequence[Sequence[Example]], backbone: Backbone
) -> tuple[list[TorchBatch], int]:
    """Return the batches that a pipeline of ours trains on as padded pieces, and the number of its tags."""
    classifier: Any = nlp.get_pipe("token_classifier")
    scheme: TagScheme = classifier.tag_scheme
    return [pad_examples(examples, backbone, scheme) for examples in batches], len(scheme.tags)


class OurStates(nn.Module):
    """Our encoder by itself, with the options that are shipped unless others are given."""

    def __init__(self, backbone: Backbone, adapter: AdapterOptions, *, mixed_precision: Switch = False) -> None:
        super().__init__()
        runtime = RuntimeOptions(mixed_precision=mixed_precision)
        self.encoder = build_encoder(backbone, adapter, runtime, n_word_shapes=N_WORD_SHAPES).train()

    @classmethod
    def alone(cls, backbone: Backbone, *, length: int = 0, rank: int = 0) -> OurStates:
        """Return it with a prompt or LoRA and nothing else that trains or is dropped, as in PEFT."""
        prompt = PromptOptions(length=length, dropout=0.0)
        return cls(backbone, AdapterOptions(prompt, lora_rank=rank, scalar_mix=False, word_shape=False))

    def forward(self, batch: TorchBatch) -> torch.Tensor:
        """Return the states of the wanted pieces. Shape: (n_tokens, hidden_width)"""
        return read_batches([self.encoder], [batch.pieces])[0]


class BareStates(nn.Module):
    """The backbone without a prompt or dropout, its gradient taken with respect to the piece embeddings: the limit."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: TorchBatch) -> torch.Tensor:
        """As `OurStates.forward`."""
        embedded = self.model.get_input_embeddings()(batch.pieces.ids).detach().requires_grad_()
        with _quickest_attention(embedded.dtype):
            states = self.model(inputs_embeds=embedded, attention_mask=batch.pieces.mask).last_hidden_state
        return read_states(states, batch)


class PeftStates(nn.Module):
    """PEFT over a frozen model: its prefix tuning, or its LoRA beside every linear layer.

    model (PreTrainedModel): LoRA changes it. length (int): Of the prefix, 0 for LoRA. rank (int): Of LoRA.
    """

    def __init__(self, model: PreTrainedModel, *, length: int = 0, rank: int = 0, bfloat16: bool) -> None:
        super().__init__()
        from peft import LoraConfig, PrefixTuningConfig, get_peft_model

        prefix = PrefixTuningConfig(task_type="FEATURE_EXTRACTION", num_virtual_tokens=length)
        low_rank = LoraConfig(task_type="FEATURE_EXTRACTION", r=rank, target_modules="all-linear")
        self.model = get_peft_model(model, prefix if length else low_rank).train()
        self.in_bfloat16 = bfloat16

    def forward(self, batch: TorchBatch) -> torch.Tensor:
        """As `OurStates.forward`."""
        with _autocast(self.in_bfloat16):
            states = self.model(input_ids=batch.pieces.ids, attention_mask=batch.pieces.mask).last_hidden_state
        return read_states(states, batch)


class RowPromptStates(nn.Module):
    """A prompt looked up for every row and handed to a frozen model as `past_key_values`."""

    def __init__(self, model: PreTrainedModel, length: int, *, bfloat16: bool) -> None:
        super().__init__()
        config = model.config
        self.model = model
        self.in_bfloat16 = bfloat16
        self.length = length
        self.shape = (2 * config.num_hidden_layers, config.num_attention_heads, -1)
        self.embedding = nn.Embedding(length, 2 * config.num_hidden_layers * config.hidden_size)

    def forward(self, batch: TorchBatch) -> torch.Tensor:
        """As `OurStates.forward`."""
        mask = batch.pieces.mask
        positions = torch.arange(self.length, device=mask.device).expand(len(mask), -1)
        with _autocast(self.in_bfloat16):
            rows = self.embedding(positions).unflatten(-1, self.shape)  # rows, length, 2 x layers, heads, head width
            by_layer = rows.permute(2, 0, 3, 1, 4).split(2)
            longer = torch.cat([mask.new_ones(positions.shape), mask], dim=1)
            output = self.model(
                input_ids=batch.pieces.ids, attention_mask=longer, past_key_values=DynamicCache(by_layer)
            )
        return read_states(output.last_hidden_state, batch)


class TorchLoop:
    """A training loop around one of the modules above. n_tags (int): Width of the head."""

    def __init__(self, states: nn.Module, batches: Sequence[TorchBatch], width: int, n_tags: int) -> None:
        self._states = states
        self._head = nn.Linear(width, n_tags)
        self._batches = batches
        parameters = [*states.parameters(), *self._head.parameters()]
        self.trained = [parameter for parameter in parameters if parameter.requires_grad]
        self._optimizer = torch.optim.AdamW(self.trained, lr=1e-3)

    def step(self, batch: int) -> None:
        """Learn from a batch, by its number."""
        data = self._batches[batch]
        cross_entropy(self._head(self._states(data)), data.tags, ignore_index=UNKNOWN).backward()
        nn.utils.clip_grad_norm_(self.trained, 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()


def load_frozen(backbone: str, *, attention_dropout: bool, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """Return the model for the peers, frozen, in eval mode.

    attention_dropout (bool): Let it drop attention weights in training; ours does not, unless it is told to.
    """
    folder = find_backbone(BackboneSource(backbone))
    config: Any = AutoConfig.from_pretrained(folder)
    for name in ATTENTION_DROPOUT if not attention_dropout else ():
        if hasattr(config, name):
            setattr(config, name, 0.0)
    model: Any = AutoModel.from_pretrained(folder, config=config)
    return model.to(dtype).requires_grad_(False).eval()  # type: ignore[no-any-return]


def takes_past(model: PreTrainedModel) -> bool:
    """Return whether a family takes prompts as `past_key_values`."""
    return "past_key_values" in inspect.signature(model.forward).parameters


@contextmanager
def _quickest_attention(dtype: torch.dtype) -> Iterator[None]:
    """Switch torch's fused kernel off in bfloat16, where it is slow in training (speed/attention_kernels.py)."""
    if dtype != torch.bfloat16:
        yield
        return
    reduced = kernel_flags.fp16_bf16_reduction_math_sdp_allowed()
    kernel_flags.allow_fp16_bf16_reduction_math_sdp(True)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        kernel_flags.allow_fp16_bf16_reduction_math_sdp(reduced)


def _autocast(bfloat16: bool) -> Any:
    return torch.autocast("cpu", dtype=torch.bfloat16) if bfloat16 else nullcontext()


def read_states(states: torch.Tensor, batch: TorchBatch) -> torch.Tensor:
    """Return the states of the wanted pieces, in float32. Shape: (rows, pieces, width) -> (n_tokens, width)"""
    return states.flatten(0, 1).index_select(0, batch.wanted).float()
