"""Attention with its scores written out, in one softmax over the prompt and the text or in two parts.

The prompt's keys are the same for all rows. Apart from the text, the scores of all pieces of all rows with them are one
matrix product per head, what its values give is another, and no row needs a copy. One softmax joins it with the text.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import dropout as drop

MOST_PIECES, FEWEST_ROWS = 28, 12  # see `pays_apart`
EVEN = 16  # a softmax in bfloat16 takes up to twice as long where a row of scores is no multiple of it


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

    Every piece must see some key; where there is a prompt it does. Shapes: As there.
    """
    scores = add_mask((query * scale) @ key.transpose(2, 3), bias)
    return drop(torch.softmax(scores, dim=-1), dropout) @ value


def pays_apart(query: torch.Tensor, key: torch.Tensor, prompt: torch.Tensor) -> bool:
    """Return whether to `attend_apart`: in bfloat16 on CPUs, for many rows that are short beside their prompt.

    There it is the quickest way, in training and prediction: the copies that it saves grow with the rows, while putting
    heads before rows costs more the more pieces there are. In float32 it may be quicker on one core, hardly on two
    (benchmarks/speed/attention_kernels.py). It wants as many heads of keys as of queries, and one prompt for all
    rows. The arguments: As there.
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

    query, key, value: Of the pieces, in that shape. prompt: Its keys and values. Shape: (2, length, heads *
    head_width). bias (Tensor | None): See `add_mask`. Shape: broadcastable to (batch, heads, pieces, pieces).
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
    """Return scores with a mask that is added to them, or is bool, true where a piece is seen; None: as they are."""
    if mask is None:
        return scores
    return scores.masked_fill(~mask, least(scores)) if mask.dtype == torch.bool else scores + mask


def least(like: torch.Tensor) -> float:
    """Return the smallest number of a tensor's type. A row of -inf, which sees nothing, would become NaN."""
    return torch.finfo(like.dtype).min


def _joint_softmax(with_prompt: torch.Tensor, with_text: torch.Tensor) -> Sequence[torch.Tensor]:
    """Return the shares of prompt and text by their scores. Shape: (heads, batch * pieces, length), (..., pieces)"""
    lengths = [with_prompt.shape[-1], with_text.shape[-1]]
    scores = [with_prompt, with_text]
    missing = -sum(lengths) % EVEN
    if missing:
        lengths.append(missing)
        scores.append(with_text.new_full((), -torch.inf).expand(*with_text.shape[:2], missing))
    weights = torch.softmax(torch.cat(scores, dim=-1), dim=-1)
    return torch.split(weights, lengths, dim=-1)[:2]
