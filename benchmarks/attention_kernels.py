"""Fused against plain attention in a training step: why training in bfloat16 on a CPU writes attention out.

python benchmarks/attention_kernels.py [--repeats 20]

One attention call with a prompt of 64 positions in front of the keys and values, forward and backward, in the shapes
of a training batch over MiniLM. The two alternate within one run, so the ratio means something where times do not.
"""

from __future__ import annotations

import time
from statistics import median

import torch
import typer
from torch.nn.functional import scaled_dot_product_attention

from spacy_ptv2.backbones.written_out import plain_attention

HEADS, HEAD_WIDTH, PROMPT = 12, 32, 64
SHAPES = ((64, 10), (24, 26), (12, 52), (5, 128), (1, 512))  # windows, pieces: about 640 padded pieces each


def main(repeats: int = 20) -> None:
    """Print one row per shape and type."""
    print(f"{'windows x pieces':>18} {'type':>9} {'fused / plain':>14}")
    for n_windows, n_pieces in SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            fused, plain = measure(n_windows, n_pieces, dtype, repeats)
            name = str(dtype).removeprefix("torch.")
            print(f"{n_windows:>10} x {n_pieces:<5} {name:>9} {fused / plain:>14.2f}")


def measure(n_windows: int, n_pieces: int, dtype: torch.dtype, repeats: int) -> tuple[float, float]:
    """Return the median seconds of a step with the fused kernel and with the plain products."""
    torch.manual_seed(0)
    shape = (n_windows, HEADS, n_pieces, HEAD_WIDTH)
    query = torch.randn(shape, dtype=dtype, requires_grad=True)
    longer = (n_windows, HEADS, PROMPT + n_pieces, HEAD_WIDTH)
    keys, values = (torch.randn(longer, dtype=dtype, requires_grad=True) for _ in range(2))
    mask = torch.zeros((n_windows, 1, 1, PROMPT + n_pieces), dtype=dtype)
    functions = {"fused": scaled_dot_product_attention, "plain": plain_attention}
    times: dict[str, list[float]] = {name: [] for name in functions}
    for repeat in range(repeats + 2):
        for name, attend in functions.items():
            start = time.perf_counter()
            attend(query, keys, values, mask, 0.0, scale=HEAD_WIDTH**-0.5).sum().backward()
            if repeat >= 2:  # the first rounds warm up
                times[name].append(time.perf_counter() - start)
    return median(times["fused"]), median(times["plain"])


if __name__ == "__main__":
    typer.run(main)
