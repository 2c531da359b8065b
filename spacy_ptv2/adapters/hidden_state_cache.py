"""A cache of the hidden states below every adapter, kept from epoch to epoch, first in memory, then on disk.

Those layers are frozen and run without dropout, so the same pieces always have the same hidden states. Windows are
never evicted: training visits all windows in turn, and a cache that replaced the oldest would never have the next one.
"""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import dataclass
from typing import IO, Any, cast

import torch

from ..injection.stages import Stage


@dataclass(frozen=True)
class _OnDisk:
    """Hidden states in the file. offset (int): In bytes. shape (tuple[int, ...]), dtype (torch.dtype): Their own."""

    offset: int
    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def n_bytes(self) -> int:
        """Their size in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


class HiddenStateCache:
    """Hidden states of windows by key, within a budget.

    memory_bytes (int): The most bytes in memory.
    disk_bytes (int): The most bytes after that in an unnamed temporary file, which disappears with the process.
    forms (dict[str, Stage]): By settings of a run, a stage that shows in which form layers return hidden states.
    """

    def __init__(self, *, memory_bytes: int, disk_bytes: int = 0) -> None:
        self.memory_bytes = memory_bytes
        self.disk_bytes = disk_bytes
        self.used_memory = 0
        self.used_disk = 0
        self.forms: dict[str, Stage] = {}
        self._kept: dict[bytes, torch.Tensor | _OnDisk] = {}
        self._file: IO[bytes] | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: bytes) -> bool:
        return key in self._kept

    def __getitem__(self, key: bytes) -> torch.Tensor:
        """Return cached hidden states, on the CPU."""
        kept = self._kept[key]
        return kept if isinstance(kept, torch.Tensor) else self._read(kept)

    def keep(self, key: bytes, states: torch.Tensor) -> None:
        """Cache hidden states if there is room left."""
        size = states.numel() * states.dtype.itemsize
        if key in self._kept:
            return
        if self.used_memory + size <= self.memory_bytes:
            self._kept[key] = states.detach().to("cpu", copy=True).contiguous()
            self.used_memory += size
        elif self.used_disk + size <= self.disk_bytes:
            self._kept[key] = self._write(states.detach().cpu().contiguous())
            self.used_disk += size

    def _write(self, states: torch.Tensor) -> _OnDisk:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="spacy_ptv2_states_")  # noqa: SIM115  (as long-lived as this)
        os.pwrite(self._file.fileno(), states.view(torch.uint8).numpy().tobytes(), self.used_disk)
        return _OnDisk(self.used_disk, tuple(states.shape), states.dtype)

    def _read(self, place: _OnDisk) -> torch.Tensor:
        file = cast(IO[bytes], self._file)
        data = bytearray(os.pread(file.fileno(), place.n_bytes, place.offset))
        return torch.frombuffer(data, dtype=place.dtype).view(place.shape)

    def __deepcopy__(self, memo: dict[int, Any]) -> HiddenStateCache:
        """A copy starts empty, with the same budget."""
        return HiddenStateCache(memory_bytes=self.memory_bytes, disk_bytes=self.disk_bytes)
