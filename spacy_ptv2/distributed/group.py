"""The processes of one training, as torchrun or any other launcher starts them.

In: the environment variables RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT. Out: sums, broadcasts and texts of all. A
process that ends, or does not answer in time, is an error in all others.
Source: https://pytorch.org/docs/stable/distributed.html.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from ..errors import DistributedError, Errors

STEP = timedelta(minutes=10)  # that the processes may be apart in a step
EVALUATION = timedelta(hours=24)  # that others wait while the first one evaluates
IN_USE = ("EADDRINUSE", "address already in use")


def world_size() -> int:
    """Return how many processes the launcher started; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Return the number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def local_rank() -> int:
    """Return the number of this process on its machine, from 0."""
    return int(os.environ.get("LOCAL_RANK", os.environ.get("RANK", "0")))


class Group:
    """All processes of a training. Each has to call the same methods in the same order.

    device (torch.device): Of the tensors that are summed: gloo sums on CPUs, nccl on GPUs.
    step (timedelta): How long the others are waited for in a step.
    RAISES (DistributedError): P860 if the processes cannot meet, P861 from all methods if one is missing.
    """

    def __init__(self, device: torch.device, step: timedelta = STEP) -> None:
        self.device = device
        try:
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=step)
            self._patient = dist.new_group(backend="gloo", timeout=EVALUATION)
        except (RuntimeError, ValueError) as error:
            address = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
            why = "the port is in use" if any(word in str(error) for word in IN_USE) else _first_sentence(error)
            raise DistributedError(Errors.P860.format(address=address, why=why)) from error
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    @property
    def is_first(self) -> bool:
        """Whether this is the process that evaluates, logs and saves."""
        return self.rank == 0

    def sum(self, tensor: torch.Tensor) -> None:
        """Sum a tensor over all processes, in place."""
        with _telling_who_is_missing():
            dist.all_reduce(tensor)

    def from_first(self, tensor: torch.Tensor) -> None:
        """Overwrite a CPU tensor with the first process's, however long that takes."""
        with _telling_who_is_missing():
            dist.broadcast(tensor, src=0, group=self._patient)

    def bytes_from_first(self, data: bytes) -> bytes:
        """Return the bytes that the first process gives."""
        length = torch.tensor([len(data)])
        self.from_first(length)
        content = torch.zeros(int(length), dtype=torch.uint8)
        if self.is_first and data:
            content = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        self.from_first(content)
        return content.numpy().tobytes()

    def gather(self, document: Any) -> list[Any]:
        """Return a JSON document of each process."""
        text = torch.frombuffer(bytearray(json.dumps(document).encode()), dtype=torch.uint8)
        with _telling_who_is_missing():
            lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
            dist.all_gather(lengths, torch.tensor([len(text)]), group=self._patient)
            longest = max(int(length) for length in lengths)
            padded = torch.zeros(longest, dtype=torch.uint8)
            padded[: len(text)] = text
            texts = [torch.zeros(longest, dtype=torch.uint8) for _ in range(self.size)]
            dist.all_gather(texts, padded, group=self._patient)
        pairs = zip(texts, lengths, strict=True)
        return [json.loads(own[: int(length)].numpy().tobytes()) for own, length in pairs]

    def require_same(self, facts: dict[str, Any]) -> None:
        """RAISES (DistributedError): P862 if another process's facts differ from the first one's, and in what."""
        first, *others = self.gather(facts)
        for number, other in enumerate(others, start=1):
            for name in sorted(first.keys() | other.keys()):
                if first.get(name) != other.get(name):
                    differing = f"{name}: {first.get(name)!r} in process 0, {other.get(name)!r} in process {number}"
                    raise DistributedError(Errors.P862.format(differing=differing))

    def leave(self) -> None:
        """Let go of the others."""
        if dist.is_initialized():
            dist.destroy_process_group()


@contextmanager
def _telling_who_is_missing() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise DistributedError(Errors.P861.format(error=_first_sentence(error))) from error


def _first_sentence(error: Exception) -> str:
    """Return what gloo or nccl say, without the place in their sources."""
    return re.sub(r"^\[[^\]]*\] ", "", str(error).splitlines()[0]).split(". ")[0]
