"""Importing the package, and even using it, changes nothing for processes that others fork."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked on POSIX only")

# A child that is not ours keeps torch's threads; the first of our own steps in a child gives them up.
SCRIPT = """
import os, sys
import torch
torch.set_num_threads(3)
import spacy_ptv2.pipeline.factories
from spacy_ptv2.kernels.forks import settle_after_fork

def in_child(work):
    read, write = os.pipe()
    if os.fork() == 0:
        work()
        os.write(write, str(torch.get_num_threads()).encode())
        os._exit(0)
    return os.read(read, 10).decode()

settle_after_fork()
print(in_child(lambda: None), in_child(settle_after_fork), torch.get_num_threads())
"""


def test_only_our_own_code_settles_a_forked_process():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["3", "1", "3"]


def test_every_pass_and_every_load_settles(tiny_folder, monkeypatch):
    from spacy_ptv2.adapters.batches import WindowBatches
    from spacy_ptv2.adapters.joint_pass import read_jointly
    from spacy_ptv2.backbones import registry
    from spacy_ptv2.backbones.source import BackboneSource
    from spacy_ptv2.kernels import forks

    counts = []
    monkeypatch.setattr(forks.torch, "set_num_threads", counts.append)
    monkeypatch.setattr(forks, "_settled_in", -1)
    registry.get_backbone(BackboneSource(str(tiny_folder)))
    monkeypatch.setattr(forks, "_settled_in", -1)
    with pytest.raises(AttributeError):
        read_jointly([None], WindowBatches([], []))
    assert counts == [1, 1]
