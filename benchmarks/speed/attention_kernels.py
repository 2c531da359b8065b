"""Three ways to attend to a prompt: fused, in plain products, and apart from the text.

OMP_NUM_THREADS=1 python -m benchmarks.speed.attention_kernels [--length 64] [--repeats 20]

One attention call over a prompt and the pieces, in the shapes of a batch over MiniLM: forward and backward, then
forward alone. It shows why training in bfloat16 on a CPU writes attention out, and when prompts are met apart. The
prompt is put in front of the keys and values of every row, for torch's fused kernel and for plain products, or met
apart from the text. The three alternate within one run, so the ratios mean something where times do not; counted is the
processor's time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
import typer
from torch.nn.functional import scaled_dot_product_attention

from spacy_ptv2.injection.attention import prepend
from spacy_ptv2.kernels.plain_attention import attend_apart, pays_apart, plain_attention

HEADS, HEAD_WIDTH = 12, 32
SHAPES = ((64, 10), (40, 16), (32, 20), (24, 26), (20, 32), (12, 52), (5, 128), (1, 512))  # windows, pieces

Attend = Callable[..., torch.Tensor]


def main(length: int = 64, repeats: int = 20) -> None:
    """Print one row per shape and type. length (int): Of the prompt."""
    print(f"{'windows x pieces':>18} {'type':>9} {'training: fused / plain':>24} {'fused / apart':>14}", end="")
    print(f" {'plain / apart':>14} {'prediction: fused / apart':>26}  chosen apart")
    for dtype in (torch.float32, torch.bfloat16):
        for n_windows, n_pieces in SHAPES:
            call = make_call(n_windows, n_pieces, length, dtype)
            fused, plain, apart = measure(call, repeats, training=True)
            fused_alone, _, apart_alone = measure(call, repeats, training=False)
            name = str(dtype).removeprefix("torch.")
            print(f"{n_windows:>10} x {n_pieces:<5} {name:>9} {fused / plain:>24.2f} {fused / apart:>14.2f}", end="")
            print(f" {plain / apart:>14.2f} {fused_alone / apart_alone:>26.2f}", end="")
            print(f"  {'yes' if pays_apart(call[0], call[1], call[3]) else 'no'}")


def make_call(n_windows: int, n_pieces: int, length: int, dtype: torch.dtype) -> list[torch.Tensor]:
    """Return a query, keys, values, a prompt and a mask; but for the mask they want a gradient."""
    torch.manual_seed(0)
    shape = (n_windows, n_pieces, HEADS, HEAD_WIDTH)
    states = [torch.randn(shape, dtype=dtype).transpose(1, 2).requires_grad_() for _ in range(3)]
    prompt = torch.randn(2, length, HEADS * HEAD_WIDTH, requires_grad=True)
    return [*states, prompt, torch.zeros((n_windows, 1, 1, n_pieces), dtype=dtype)]


def in_front(attend: Attend, by_heads: bool, *call: torch.Tensor) -> torch.Tensor:
    """Attend with the prompt in front of the keys and values of every row."""
    query, key, value, prompt, mask = call
    return attend(query, *prepend(prompt, key, value, mask, by_heads=by_heads), 0.0, scale=HEAD_WIDTH**-0.5)


def measure(call: list[torch.Tensor], repeats: int, *, training: bool) -> list[float]:
    """Return the median seconds with the fused kernel, with plain products, and apart."""
    ways: list[Attend] = [
        partial(in_front, scaled_dot_product_attention, False),
        partial(in_front, plain_attention, True),
        partial(attend_apart, dropout=0.0, scale=HEAD_WIDTH**-0.5),
    ]
    times: list[list[float]] = [[] for _ in ways]
    for repeat in range(repeats + 2):
        for way, seconds in zip(ways, times, strict=True):
            start = time.process_time()
            with torch.set_grad_enabled(training):
                mixed = way(*call).transpose(1, 2).flatten(2)
                if training:
                    mixed.sum().backward()
            if repeat >= 2:  # the first rounds warm up
                seconds.append(time.process_time() - start)
    return [median(seconds) for seconds in times]


if __name__ == "__main__":
    typer.run(main)
