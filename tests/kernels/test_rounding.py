"""Products have the same bits wherever in memory their weights are, in a process that asked for it."""

import os
import subprocess
import sys

SCRIPT = """
import torch
from spacy_ptv2.kernels.rounding import make_rounding_reproducible

make_rounding_reproducible()
torch.manual_seed(0)
row, weights = torch.randn(1, 384), torch.randn(384 * 384)
found = set()
for shift in range(8):
    place = torch.empty(384 * 384 + shift)[shift:]
    place.copy_(weights)
    found.add(bytes(torch.nn.functional.linear(row, place.view(384, 384)).numpy()))
print(len(found))
"""


def test_a_product_does_not_depend_on_its_place_in_memory():
    environment = {name: value for name, value in os.environ.items() if name != "MKL_CBWR"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1"]
