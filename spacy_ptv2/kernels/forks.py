"""What this package does first in a forked process.

A forked worker (`nlp.pipe(..., n_process=2)`) inherits torch's thread pool without its threads and would wait for them
for ever. With one thread it needs no pool; the workers are what runs in parallel then.
"""

from __future__ import annotations

import os

import torch

_settled_in = os.getpid()


def settle_after_fork() -> None:
    """Let torch compute on one thread if this process was forked since the last call, or since the import.

    Called before each pass and each load; a process that forks without using us keeps its threads.
    """
    global _settled_in
    if os.getpid() != _settled_in:
        torch.set_num_threads(1)
        _settled_in = os.getpid()
