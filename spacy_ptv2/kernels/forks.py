"""Makes torch usable in a forked process.

A forked worker (`nlp.pipe(..., n_process=2)`) inherits torch's thread pool but not its threads, and would wait for them
forever. On one thread it needs no pool; the workers run in parallel instead.
"""

from __future__ import annotations

import os

import torch

_settled_in = os.getpid()


def settle_after_fork() -> None:
    """Limit torch to one thread if this process was forked since the last call, or since the import.

    Called before each pass and each load. A process that forks but does not use this package keeps its threads.
    """
    global _settled_in
    if os.getpid() != _settled_in:
        torch.set_num_threads(1)
        _settled_in = os.getpid()
