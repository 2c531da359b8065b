"""The frozen model as the rest of the package sees it: weights, tokenizer, shape, identity, and how to inject.

Loading reads safetensors only, runs no code from the folder, asks no network, and freezes every parameter. A
`Backbone` is shared by reference: copying a pipeline never copies it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.modeling_utils import PreTrainedModel
from transformers.tokenization_utils_fast import PreTrainedTokenizerFast

from ..errors import BackboneError, Errors
from .bert import BertRule, RobertaRule
from .fingerprint import fingerprint_folder
from .injection import install_hooks
from .rules import InjectionRule

if TYPE_CHECKING:
    from .source import BackboneSource

RULES: tuple[InjectionRule, ...] = (BertRule(), RobertaRule())

# A forked worker (`nlp.pipe(..., n_process=2)`) inherits torch's thread pool without its threads and would wait for
# them for ever. With one thread it needs no pool; the workers are what runs in parallel then.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


@dataclass(eq=False)
class Backbone:
    """A frozen pretrained transformer, ready to take prompts.

    source (BackboneSource): What the config asked for. path (Path): The folder it was loaded from.
    fingerprint (str): Identity of its files. model: The frozen encoder, in eval mode unless a training step runs.
    tokenizer: Its fast tokenizer. rule (InjectionRule): How prompts get into its attention.
    """

    source: BackboneSource
    path: Path
    fingerprint: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    rule: InjectionRule

    @cached_property
    def special_pieces(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ids of the special pieces that stand before and behind every window."""
        encoding = self.tokenizer("a", add_special_tokens=True, return_special_tokens_mask=True)
        ids, special = encoding["input_ids"], encoding["special_tokens_mask"]
        body = [i for i, flag in enumerate(special) if not flag]
        return tuple(ids[: body[0]]), tuple(ids[body[-1] + 1 :])

    @property
    def pad_id(self) -> int:
        """Id of the piece that pads short windows; masked, so any will do where a tokenizer has none."""
        return int(self.tokenizer.pad_token_id or 0)

    @property
    def n_layers(self) -> int:
        """Number of attention layers that can take a prompt."""
        return len(self.rule.sites(self.model))

    @property
    def hidden_width(self) -> int:
        """Width of its hidden states and of the keys and values of a layer (all heads together)."""
        return int(self.model.config.hidden_size)

    @property
    def embedding_width(self) -> int:
        """Width of its piece embeddings (ELECTRA's is smaller than its hidden width)."""
        embeddings = cast(torch.nn.Embedding, self.model.get_input_embeddings())
        return embeddings.embedding_dim

    @property
    def max_positions(self) -> int:
        """Longest sequence of pieces, special ones included, that it has positions for."""
        return int(self.model.config.max_position_embeddings) - self.rule.first_position(self.model.config)

    @property
    def n_parameters(self) -> int:
        """Number of its (frozen) parameters."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.model.device

    def to(self, device: torch.device) -> None:
        """Move the weights, for every pipeline that shares them."""
        self.model.to(device)  # type: ignore[arg-type]

    def __deepcopy__(self, memo: dict[int, Any]) -> Backbone:
        """Frozen, hence shared: a copied pipeline keeps this very object."""
        return self

    def __copy__(self) -> Backbone:
        """As `__deepcopy__`."""
        return self


def read_hidden_width(path: Path) -> int:
    """Return the width of the hidden states of the model in a folder, from its config.json alone."""
    return int(_read_config(path).hidden_size)


def load_backbone(source: BackboneSource, path: Path) -> Backbone:
    """Load a frozen model and its tokenizer from a folder.

    RAISES (BackboneError): P104 (unsupported family), P106 (no fast tokenizer), P107 (not promptable), P108 (damaged).
    """
    config = _read_config(path)
    rule = find_rule(config, path)
    try:
        model = AutoModel.from_pretrained(
            path,
            config=config,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            torch_dtype=torch.float32,
        )
    except Exception as error:  # a damaged file fails in many ways, deep inside three libraries
        raise BackboneError(Errors.P108.format(path=path, error=error)) from error
    model.requires_grad_(False).eval()
    install_hooks(rule.sites(model))
    return Backbone(
        source=source,
        path=path,
        fingerprint=fingerprint_folder(path),
        model=model,
        tokenizer=_load_tokenizer(path),
        rule=rule,
    )


def find_rule(config: Any, path: Path) -> InjectionRule:
    """Return the injection rule for a model's config.

    RAISES (BackboneError): P104, P107.
    """
    for rule in RULES:
        if config.model_type in rule.model_types:
            reason = rule.refusal(config)
            if reason is not None:
                raise BackboneError(Errors.P107.format(path=path, reason=reason))
            return rule
    supported = ", ".join(sorted(name for rule in RULES for name in rule.model_types))
    raise BackboneError(Errors.P104.format(path=path, got=config.model_type, supported=supported))


def _read_config(path: Path) -> Any:
    try:
        return AutoConfig.from_pretrained(path, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError) as error:
        raise BackboneError(Errors.P108.format(path=path, error=error)) from error


def _load_tokenizer(path: Path) -> PreTrainedTokenizerFast:
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False, local_files_only=True, use_fast=True)
    except Exception as error:  # as above
        raise BackboneError(Errors.P108.format(path=path, error=error)) from error
    if not getattr(tokenizer, "is_fast", False):
        raise BackboneError(Errors.P106.format(path=path))
    return cast(PreTrainedTokenizerFast, tokenizer)
