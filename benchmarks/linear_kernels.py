"""Linear layers with frozen weights in float32: torch's own way (MKL) and oneDNN, forward and backward.

python benchmarks/linear_kernels.py [--repeats 40]

The linear layers of MiniLM and of an mpnet-base on batches of several sizes. `ONEDNN_MAX_CPU_ISA=AVX2` before the
command keeps oneDNN from AVX-512. The two alternate within one run; above 1 oneDNN is the quicker.
"""

from __future__ import annotations

import time
from statistics import median

import torch
import typer
from torch.nn.functional import linear

from spacy_ptv2.backbones.frozen_linear import frozen_linear, pays

SHAPES = ((384, 384), (384, 1536), (1536, 384), (768, 768), (768, 3072), (3072, 768))  # what a layer reads, and gives
PIECES = (30, 180, 650, 4096)


def main(repeats: int = 40) -> None:
    """Print one row per shape, and whether this CPU is one on which backbones take oneDNN."""
    print(f"{'pieces':>8} {'reads x gives':>14} {'forward':>8} {'both':>8}   MKL / oneDNN")
    for width, given in SHAPES:
        weight, bias = torch.randn(given, width) * width**-0.5, torch.randn(given)
        for pieces in PIECES:
            states = torch.randn(pieces, width)
            alone, both = (measure(states, weight, bias, repeats, training=training) for training in (False, True))
            print(f"{pieces:>8} {width:>6} x {given:<5} {alone:>8.2f} {both:>8.2f}")
    print(f"taken on this CPU: {'yes' if pays() else 'no'}")


def measure(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, repeats: int, *, training: bool) -> float:
    """Return the ratio of the median times, forward alone or with the gradient of the states."""
    inputs = states.clone().requires_grad_(training)
    gradient = torch.randn(len(states), len(weight))
    times: dict[bool, list[float]] = {False: [], True: []}
    for repeat in range(repeats + 2):
        for in_onednn, seconds in times.items():
            start = time.perf_counter()
            product = (frozen_linear if in_onednn else linear)(inputs, weight, bias)
            if training:
                torch.autograd.grad(product, inputs, gradient)
            if repeat >= 2:  # the first rounds warm up
                seconds.append(time.perf_counter() - start)
    return median(times[False]) / median(times[True])


if __name__ == "__main__":
    typer.run(main)
