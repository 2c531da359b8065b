"""Linear layers with frozen weights: float32 in torch's own way (MKL) and in oneDNN, and bfloat16.

python -m benchmarks.speed.linear_kernels [--repeats 40]

The linear layers of MiniLM and of an mpnet-base on batches of several sizes, forward alone and with the gradient of
what was read. `ONEDNN_MAX_CPU_ISA=AVX2` before the command keeps oneDNN from AVX-512. The three alternate within one
run. "MKL / oneDNN": above 1 oneDNN is the quicker; "fp32 / bf16", of the quicker of these two: above 1 bfloat16 is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median

import torch
import typer
from torch.nn.functional import linear

from spacy_ptv2.backbones.precision import is_fast_in_bfloat16
from spacy_ptv2.kernels.frozen_linear import frozen_linear, pays

SHAPES = ((384, 384), (384, 1536), (1536, 384), (768, 768), (768, 3072), (3072, 768))  # what a layer reads, and gives
PIECES = (30, 180, 650, 4096)
MKL, ONEDNN, BFLOAT16 = "MKL", "oneDNN", "bfloat16"
WAYS: Mapping[str, Callable[..., torch.Tensor]] = {MKL: linear, ONEDNN: frozen_linear, BFLOAT16: linear}


def main(repeats: int = 40) -> None:
    """Print one row per shape, and what backbones take on this CPU."""
    print(f"{'':>8} {'':>14}   MKL / oneDNN     fp32 / bf16")
    print(f"{'pieces':>8} {'reads x gives':>14} {'forward':>8} {'both':>6} {'forward':>8} {'both':>6}")
    for width, given in SHAPES:
        weight, bias = torch.randn(given, width) * width**-0.5, torch.randn(given)
        for pieces in PIECES:
            states = torch.randn(pieces, width)
            measured = [measure(states, weight, bias, repeats, training=training) for training in (False, True)]
            to_onednn = [f"{times[MKL] / times[ONEDNN]:.2f}" for times in measured]
            to_bfloat16 = [f"{min(times[MKL], times[ONEDNN]) / times[BFLOAT16]:.2f}" for times in measured]
            cells = "".join(f"{forward:>9} {both:>6}" for forward, both in (to_onednn, to_bfloat16))
            print(f"{pieces:>8} {width:>6} x {given:<5}{cells}")
    fast = is_fast_in_bfloat16(torch.device("cpu"))
    print(f"taken on this CPU: {'bfloat16' if fast else 'float32'}, in float32 {ONEDNN if pays() else MKL}")


def measure(
    states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, repeats: int, *, training: bool
) -> dict[str, float]:
    """Return the median time of each way, forward alone or with the gradient of the states."""
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    types = {way: torch.bfloat16 if way == BFLOAT16 else torch.float32 for way in WAYS}
    own = {way: [tensor.to(dtype) for tensor in (states, weight, bias)] for way, dtype in types.items()}
    gradient = torch.randn(len(states), len(weight))
    for repeat in range(repeats + 2):
        for way, multiply in WAYS.items():
            inputs = own[way][0].requires_grad_(training)
            behind = gradient.to(inputs.dtype)
            start = time.perf_counter()
            product = multiply(*own[way])
            if training:
                torch.autograd.grad(product, inputs, behind)
            if repeat >= 2:  # the first rounds warm up
                times[way].append(time.perf_counter() - start)
    return {way: median(seconds) for way, seconds in times.items()}


if __name__ == "__main__":
    typer.run(main)
