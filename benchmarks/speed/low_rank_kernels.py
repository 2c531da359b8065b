"""LoRA beside a frozen linear layer in float32: its narrow product in two orders, joined by a sum or in one kernel.

python -m benchmarks.speed.low_rank_kernels [--rank 7] [--rounds 30]

The linear layers of MiniLM and of an mpnet-base on 1,000 pieces. "plain" is `given + states @ A.T @ B`, "ours" what the
hooks do (`spacy_ptv2/kernels/low_rank.py`): the operands of the narrow product swapped, the sum within the wide one. A
ratio is processor time beside that of the linear layer alone, the two alternating in one run; "both" is with the
gradients of what was read and of A and B.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from statistics import median

import torch
import typer

from spacy_ptv2.injection.context import RowGroup, injected
from spacy_ptv2.injection.lora import linear_widths, open_linear_layers, running_as

from ..lib.results import record, table
from .linear_kernels import SHAPES

PIECES = 1000


def main(rank: int = 7, rounds: int = 30) -> None:
    """Print and record a row per shape."""
    rows = []
    for width, given in SHAPES:
        ways = ways_of(width, given, rank)
        times = [measure(ways, width, rounds, training=training) for training in (False, True)]
        ratios = [f"{own[way] / own['alone']:.2f}" for own in times for way in ("plain", "ours")]
        rows.append((f"{width} x {given}", *ratios))
    header = ("reads x gives", "plain, forward", "ours, forward", "plain, both", "ours, both")
    text = table(header, rows)
    print(text)
    record(f"Rank {rank}, {PIECES} pieces", text)


def ways_of(width: int, given: int, rank: int) -> Mapping[str, Callable[[torch.Tensor], torch.Tensor]]:
    """Return a frozen linear layer alone, and with LoRA in both ways."""
    layer = torch.nn.Linear(width, given).requires_grad_(False)
    ours = copy.deepcopy(layer)
    weights = torch.randn(rank, width + given).mul_(width**-0.5).requires_grad_()
    open_linear_layers([ours])
    in_layer = running_as(0, linear_widths([ours]), ours)

    def plain(states: torch.Tensor) -> torch.Tensor:
        down, up = weights.split([width, given], dim=1)
        return layer(states) + states @ down.T @ up

    def hooked(states: torch.Tensor) -> torch.Tensor:
        with injected(RowGroup(loras={0: weights})):
            product: torch.Tensor = in_layer(states)
        return product

    return {"alone": layer, "plain": plain, "ours": hooked}


def measure(
    ways: Mapping[str, Callable[[torch.Tensor], torch.Tensor]], width: int, rounds: int, *, training: bool
) -> dict[str, float]:
    """Return the median processor time of each way, forward alone or with its gradients."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    states = torch.randn(10, PIECES // 10, width)
    for number in range(rounds + 2):
        for way, run in ways.items():
            with torch.set_grad_enabled(training):
                start = time.process_time()
                product = run(states.requires_grad_(training))
                if training:
                    product.backward(torch.ones_like(product))
                if number >= 2:  # the first rounds warm up
                    times[way].append(time.process_time() - start)
    return {way: median(seconds) for way, seconds in times.items()}


if __name__ == "__main__":
    typer.run(main)
