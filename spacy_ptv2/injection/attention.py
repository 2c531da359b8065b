"""Attention over [prompt; pieces], including the padding mask; the same for every family.

Two ways lead here. If a family's attention goes through transformers' attention interface, functions registered there
put the prompt before the keys and values and leave the rest to the original function. If it does not, the family's rule
computes queries, keys and values, and `PromptedAttention` attends. Both attend to the prompt apart from the text where
that is faster. Rows with different prompts attend group by group, each group exactly as it would alone.
Source: https://huggingface.co/docs/transformers/attention_interface (the interface).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, eager_mask, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ..kernels.plain_attention import add_mask, attend_apart, least, pays_apart, plain_attention
from ..options import AttentionKind
from .context import Injection, attention_injection, join_rows

INTERFACE_NAMES: dict[AttentionKind, str] = {"sdpa": "spacy_ptv2_sdpa", "eager": "spacy_ptv2_eager"}
LAYER_ATTRIBUTE = "spacy_ptv2_layer"  # the index of an attention block's layer, set on the block


@dataclass(frozen=True)
class PromptedAttention:
    """The attention of one layer in one call, for families whose rule computes queries, keys and values.

    layer (int): The layer's index.
    kind (AttentionKind): "sdpa" (torch's fused attention) or "eager" (plain attention).
    injection (Injection): What is injected into it.
    """

    layer: int
    kind: AttentionKind
    injection: Injection

    def __call__(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        bias: torch.Tensor | None,
        *,
        scale: float,
        dropout: float,
    ) -> torch.Tensor:
        """Attend over [prompt; pieces].

        query, key, value (Tensor): Shape: (batch, heads, pieces, head_width)
        bias (Tensor | None): Added to the scores of the pieces, or bool, true where a piece is seen. Shape:
            broadcastable to (batch, heads, pieces, pieces)
        RETURNS (Tensor): Shape: (batch, pieces, heads * head_width)
        """
        if bias is not None and bias.dtype not in (torch.bool, query.dtype):
            # The conversion must not produce -inf: a row that sees nothing would become NaN.
            bias = bias.clamp(min=max(least(query), least(bias))).to(query.dtype)
        fused = self.kind == "sdpa" and not self.injection.plain_attention
        attend = partial(scaled_dot_product_attention if fused else plain_attention, scale=scale)
        free_scale = scale if self.kind == "sdpa" else None
        mixed = attend_by_group(attend, self.injection, self.layer, (query, key, value), bias, dropout, free_scale)
        return mixed.transpose(1, 2).flatten(2)


def attend_by_group(
    attend: Callable[..., torch.Tensor],
    injection: Injection,
    layer: int,
    states: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    mask: torch.Tensor | None,
    dropout: float,
    scale: float | None,
) -> torch.Tensor:
    """Attend over the prompt of each group and the pieces of its rows. Shape: (batch, heads, pieces, head_width)

    attend (Callable): Attends in that shape, given a query, keys, values, a mask and a dropout rate.
    states (tuple[Tensor, Tensor, Tensor]): The query, keys and values of all rows, in that shape.
    mask (Tensor | None): See `prepend`.
    scale (float | None): The scale of the scores, None if only `attend` may compute them.
    """
    injection.note(layer, *states[1:])
    mixed = []
    parts = zip(injection.with_rows(), *map(injection.split, states), _split_mask(mask, injection), strict=True)
    for group, query, key, value, own_mask in parts:
        prompt = group.at(layer)
        with group.dropping(dropout, layer, layer, query.device) as rate:
            if injection.in_graph:
                mixed.append(_attend_in_graph(attend, (query, key, value), prompt, own_mask, rate, scale))
            elif scale is not None and prompt is not None and pays_apart(query, key, prompt):
                mixed.append(attend_apart(query, key, value, prompt, own_mask, rate, scale=scale))
            else:
                longer = prepend(prompt, key, value, own_mask, by_heads=injection.plain_attention)
                mixed.append(attend(query, *longer, rate))
    return join_rows(mixed)


def _attend_in_graph(
    attend: Callable[..., torch.Tensor],
    states: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    prompt: torch.Tensor | None,
    mask: torch.Tensor | None,
    dropout: float,
    scale: float | None,
) -> torch.Tensor:
    """Attend for the rows of one prompt, in the form that engines run fastest. Arguments: See `attend_by_group`."""
    query, key, value = states
    if mask is not None and mask.dtype == torch.bool:
        # Under a sliding mask padding may see nothing. There torch returns zeros, but engines return NaN.
        mask = mask | ~mask.any(dim=-1, keepdim=True)
    if scale is None or query.shape[1] != key.shape[1]:
        return attend(query, *prepend(prompt, key, value, mask, by_heads=False, in_graph=True), dropout)
    # Engines would otherwise scale all keys, those of the prompt included, and their kernels read head after head.
    longer = prepend(prompt, key, value, mask, by_heads=True, in_graph=True)
    return scaled_dot_product_attention(query * scale, *longer, dropout, scale=1.0)


def prepend(
    prompt: torch.Tensor | None,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    *,
    by_heads: bool,
    in_graph: bool = False,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Put a layer's prompt before its keys and values, and let every piece see it.

    prompt (Tensor | None): Its keys and values, for all rows or for each. Shape: See `LayerPrompts`.
    key, value (Tensor): Shape: (batch, heads, pieces, head_width)
    mask (Tensor | None): Additive or bool, with the attended pieces in its last dimension; None if everything is seen.
    by_heads (bool): Lay out memory head after head, which is faster for plain matrix products, instead of position
        after position, as projections leave it, which is faster for fused kernels.
    in_graph (bool): Write it for engines: OpenVINO multiplies what is expanded by ones, and repeats no empty prompt.
    RETURNS: Keys, values and mask, longer by the prompt.
    """
    if prompt is None:
        return key, value, mask
    batch, heads, _, width = key.shape
    pairs = zip(prompt.to(key.dtype).unflatten(-1, (heads, width)), (key, value), strict=True)
    for_rows = partial(_gathered if in_graph else _expanded, rows=batch)
    if by_heads:
        keys, values = (torch.cat([for_rows(own.transpose(-3, -2)), states], dim=2) for own, states in pairs)
    else:
        pairs_by_position = ((for_rows(own), states.transpose(1, 2)) for own, states in pairs)
        keys, values = (torch.cat(pair, dim=1).transpose(1, 2) for pair in pairs_by_position)
    if mask is not None:
        mask = pad(mask, (prompt.shape[-2], 0), value=True if mask.dtype == torch.bool else 0.0)
    return keys, values, mask


def _expanded(own: torch.Tensor, rows: int) -> torch.Tensor:
    """Expand a prompt's keys or values over rows, unless each row has its own. Shape: (...) -> (rows, ...)"""
    return own.expand(rows, -1, -1, -1)


def _gathered(own: torch.Tensor, rows: int) -> torch.Tensor:
    """Return the same by looking up row 0 for each row."""
    return own.unsqueeze(0).index_select(0, torch.zeros(rows, dtype=torch.long))


def _split_mask(mask: torch.Tensor | None, injection: Injection) -> Sequence[torch.Tensor | None]:
    """Return the mask of each group's rows, or the whole mask for each if all rows share it."""
    if mask is None or mask.shape[0] == 1:
        return [mask] * len(injection.with_rows())
    return injection.split(mask)


def _sdpa(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
    return sdpa_attention_forward(module, *args, **kwargs)


def _eager(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    **kwargs: Any,
) -> Any:
    """Call the eager attention in the module of transformers that defines the block."""
    if mask is not None and mask.dtype == torch.bool:  # eager attention adds the mask to the scores
        mask = torch.zeros(mask.shape, dtype=query.dtype, device=mask.device).masked_fill(~mask, least(query))
    attend = sys.modules[type(module).__module__].eager_attention_forward
    return attend(module, query, key, value, mask, **kwargs)


def _interface_function(attend: Callable[..., Any]) -> Callable[..., Any]:
    def attention(
        module: nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        **kwargs: Any,
    ) -> Any:
        """Attend as transformers' attention interface expects, with this signature, and with what is injected."""
        layer: int | None = getattr(module, LAYER_ATTRIBUTE, None)
        injection = None if layer is None else attention_injection(layer)
        if layer is None or injection is None:
            return attend(module, query, key, value, attention_mask, **kwargs)
        if attention_mask is None and _is_causal(module, kwargs):  # a causal mask that was left to the kernel
            pieces = query.shape[2]
            attention_mask = torch.ones(pieces, pieces, dtype=torch.bool, device=query.device).tril()[None, None]
            kwargs["is_causal"] = False
        position_bias: torch.Tensor | None = kwargs.pop("position_bias", None)
        if position_bias is not None:  # relative positions say nothing about the prompt
            attention_mask = add_mask(position_bias, attention_mask)
        dropout = kwargs.pop("dropout", 0.0)
        chosen = _eager if injection.plain_attention else attend

        def attend_in_module(*call: Any) -> torch.Tensor:
            *states_and_mask, rate = call
            mixed: torch.Tensor = chosen(module, *states_and_mask, dropout=rate, **kwargs)[0]
            return mixed.transpose(1, 2)

        scale = (kwargs.get("scaling") or query.shape[-1] ** -0.5) if attend is _sdpa else None
        states = (query, key, value)
        mixed = attend_by_group(attend_in_module, injection, layer, states, attention_mask, dropout, scale)
        return mixed.transpose(1, 2), None

    return attention


def _is_causal(module: nn.Module, kwargs: dict[str, Any]) -> bool:
    asked = kwargs.get("is_causal")
    return bool(getattr(module, "is_causal", True) if asked is None else asked)


ALL_ATTENTION_FUNCTIONS.register(INTERFACE_NAMES["sdpa"], _interface_function(_sdpa))
ALL_ATTENTION_FUNCTIONS.register(INTERFACE_NAMES["eager"], _interface_function(_eager))
# A new kind of attention needs its own mask function. Without one it would get no mask and attend to padding.
ALL_MASK_ATTENTION_FUNCTIONS.register(INTERFACE_NAMES["sdpa"], sdpa_mask)
ALL_MASK_ATTENTION_FUNCTIONS.register(INTERFACE_NAMES["eager"], eager_mask)
