"""Reading a few directions is the plain product, whatever the shape and the precision, and so are its gradients."""

import pytest
import torch

from benchmarks.speed import low_rank_kernels
from spacy_ptv2.kernels.low_rank import read_directions


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("shape", [(2, 3, 12), (5, 12), (0, 3, 12)])
def test_reading_is_the_plain_product(shape, dtype):
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(shape, generator=generator).to(dtype).requires_grad_()
    weights = torch.randn(7, 20, generator=generator).to(dtype).requires_grad_()
    down = weights[:, 3:15]  # as LoRA's matrices lie in memory
    plain = (states @ down.T).flatten(0, -2)
    read = read_directions(states, down)
    torch.testing.assert_close(read, plain)
    expected, found = (
        torch.autograd.grad(product, (states, weights), torch.ones_like(product)) for product in (plain, read)
    )
    torch.testing.assert_close(found, expected)


def test_autocast_decides_the_precision():
    states, down = torch.randn(2, 3, 12), torch.randn(7, 12)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert read_directions(states, down).dtype == torch.bfloat16


def test_the_benchmark_compares_equal_products():
    ways, states = low_rank_kernels.ways_of(12, 20, 7), torch.randn(2, 3, 12)
    torch.testing.assert_close(ways["ours"](states), ways["plain"](states))
    assert not torch.allclose(ways["ours"](states), ways["alone"](states))
    assert all(seconds > 0 for seconds in low_rank_kernels.measure(ways, 12, 1, training=True).values())
