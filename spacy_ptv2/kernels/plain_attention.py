"""Attention with its scores written out, over prompt and text together or apart.

All rows share the prompt's keys and values. Apart from the text, the prompt's scores for all pieces of all rows are one
matrix product per head, the weighted sum of its values is another, and no row needs a copy. One softmax joins the two.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import dropout as drop

MOST_PIECES, FEWEST_ROWS = 28, 12  # see `pays_apart`
EVEN = 16  # a softmax in bfloat16 takes up to twice as long if a row of scores is not a multiple of this


def plain_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor | None,
    dropout: float,
    *,
    scale: float,
) -> torch.Tensor:
    """Return what torch's `scaled_dot_product_attention` returns, each step written out.

    Every piece must see at least one key; with a prompt it always does. Shapes: As there.
    """
    scores = add_mask((query * scale) @ key.transpose(2, 3), bias)
    return drop(torch.softmax(scores, dim=-1), dropout) @ value


def pays_apart(query: torch.Tensor, key: torch.Tensor, prompt: torch.Tensor) -> bool:
    """Return whether to use `attend_apart`: in bfloat16 on CPUs, for many rows that are short next to their prompt.

    There it is fastest, in training and prediction. The copies that it saves grow with the number of rows; moving heads
    before rows costs more with every piece. In float32 it may be faster on one core, but hardly on two
    (benchmarks/speed/attention_kernels.py). It needs as many key heads as query heads, and one prompt for all rows.
    Arguments: As of `attend_apart`.
    """
    rows, heads, pieces, _ = query.shape
    if query.dtype != torch.bfloat16 or query.device.type != "cpu" or heads != key.shape[1] or prompt.dim() > 3:
        return False
    return rows >= FEWEST_ROWS and pieces <= min(MOST_PIECES, prompt.shape[-2] // 2)


def attend_apart(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    prompt: torch.Tensor,
    bias: torch.Tensor | None,
    dropout: float,
    *,
    scale: float,
) -> torch.Tensor:
    """Return what attention over [prompt; pieces] returns. Shape: (batch, heads, pieces, head_width)

    query, key, value (Tensor): Of the pieces, in the same shape.
    prompt (Tensor): Keys and values of the prompt. Shape: (2, length, heads * head_width)
    bias (Tensor | None): See `add_mask`. Shape: broadcastable to (batch, heads, pieces, pieces)
    """
    batch, heads, pieces, width = query.shape
    by_row = (heads * batch, pieces, width)
    own_keys, own_values = prompt.to(key.dtype).unflatten(-1, (heads, width)).transpose(1, 2)
    queries, keys, values = (states.transpose(0, 1).reshape(by_row) for states in (query * scale, key, value))
    with_prompt = torch.bmm(queries.view(heads, batch * pieces, width), own_keys.transpose(1, 2))
    with_text = torch.bmm(queries, keys.transpose(1, 2)).view(heads, batch, pieces, pieces)
    with_text = add_mask(with_text, None if bias is None else bias.transpose(0, 1))
    of_prompt, of_text = (drop(share, dropout) for share in _joint_softmax(with_prompt, with_text.flatten(1, 2)))
    mixed = torch.bmm(of_prompt, own_values).view(by_row)
    mixed = torch.baddbmm(mixed, of_text.unflatten(1, (batch, pieces)).flatten(0, 1), values)
    return mixed.view(heads, batch, pieces, width).transpose(0, 1)


def add_mask(scores: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Return masked scores. mask (Tensor | None): Added to them; or bool, True where a piece is seen; None for none."""
    if mask is None:
        return scores
    return scores.masked_fill(~mask, least(scores)) if mask.dtype == torch.bool else scores + mask


def least(like: torch.Tensor) -> float:
    """Return the lowest finite number of a tensor's type. A row of -inf, which sees nothing, would become NaN."""
    return torch.finfo(like.dtype).min


def _joint_softmax(with_prompt: torch.Tensor, with_text: torch.Tensor) -> Sequence[torch.Tensor]:
    """Return the attention weights of prompt and text. Shape: (heads, batch * pieces, length), (..., pieces)"""
    lengths = [with_prompt.shape[-1], with_text.shape[-1]]
    scores = [with_prompt, with_text]
    missing = -sum(lengths) % EVEN
    if missing:
        lengths.append(missing)
        scores.append(with_text.new_full((), -torch.inf).expand(*with_text.shape[:2], missing))
    weights = torch.softmax(torch.cat(scores, dim=-1), dim=-1)
    return torch.split(weights, lengths, dim=-1)[:2]
