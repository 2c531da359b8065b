"""Fused against plain attention in a training step: why `torch_modules/attention_kernels.py` chooses as it does.

python benchmarks/attention_kernels.py [--device cpu] [--repeats 20]

One attention call with a prompt of 64 positions in front of the keys and values, forward and backward, in the shapes
of a training batch over MiniLM. The kernels alternate within one run, so the ratio means something where times do not.
"""

from __future__ import annotations

import time
from statistics import median

import torch
import typer
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from spacy_ptv2.torch_modules.attention_kernels import training_attention

HEADS, HEAD_WIDTH, PROMPT = 12, 32, 64
SHAPES = ((64, 10), (24, 26), (12, 52), (5, 128), (1, 512))  # windows, pieces: about 640 padded pieces each


def main(device: str = "cpu", repeats: int = 20) -> None:
    """Print one row per shape and type."""
    print(f"{'windows x pieces':>18} {'type':>9} {'fused / plain':>14} {'fused / chosen':>15}")
    for n_windows, n_pieces in SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            fused, plain, chosen = measure(n_windows, n_pieces, dtype, torch.device(device), repeats)
            name = str(dtype).removeprefix("torch.")
            print(f"{n_windows:>10} x {n_pieces:<5} {name:>9} {fused / plain:>14.2f} {fused / chosen:>15.2f}")


def measure(
    n_windows: int, n_pieces: int, dtype: torch.dtype, device: torch.device, repeats: int
) -> tuple[float, float, float]:
    """Return the median seconds of a step with the fused kernel, the plain one, and the one that we choose."""
    torch.manual_seed(0)
    shape = (n_windows, HEADS, n_pieces, HEAD_WIDTH)
    query = torch.randn(shape, dtype=dtype, device=device, requires_grad=True)
    longer = (n_windows, HEADS, PROMPT + n_pieces, HEAD_WIDTH)
    keys, values = (torch.randn(longer, dtype=dtype, device=device, requires_grad=True) for _ in range(2))
    mask = torch.zeros((n_windows, 1, 1, PROMPT + n_pieces), dtype=dtype, device=device)
    contexts = {
        "fused": lambda: sdpa_kernel(SDPBackend.FLASH_ATTENTION if device.type == "cpu" else ALL_BACKENDS),
        "plain": lambda: sdpa_kernel(SDPBackend.MATH),
        "chosen": lambda: training_attention(device, bfloat16=dtype == torch.bfloat16),
    }
    times: dict[str, list[float]] = {name: [] for name in contexts}
    for repeat in range(repeats + 2):
        for name, context in contexts.items():
            start = time.perf_counter()
            with context():
                scaled_dot_product_attention(query, keys, values, attn_mask=mask).sum().backward()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if repeat >= 2:  # the first rounds warm up
                times[name].append(time.perf_counter() - start)
    return median(times["fused"]), median(times["plain"]), median(times["chosen"])


ALL_BACKENDS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]

if __name__ == "__main__":
    typer.run(main)
