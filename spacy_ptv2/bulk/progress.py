"""Says on standard error how far annotation is: one line that changes in a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import TextIO

IN_TERMINAL, ELSEWHERE = 0.5, 10.0  # seconds between lines


@dataclass
class Progress:
    """Counts documents, words and shards. n_documents, n_shards (int): How many there are to annotate in this run."""

    n_documents: int
    n_shards: int
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    documents: int = 0
    words: int = 0
    shards: int = 0
    _start: float = field(default_factory=lambda: monotonic())
    _shown: float = 0.0

    def add(self, documents: int, words: int) -> None:
        """Count what was annotated, and show it if it is time."""
        self.documents += documents
        self.words += words
        now = monotonic()
        if now - max(self._shown, self._start) >= (IN_TERMINAL if self.stream.isatty() else ELSEWHERE):
            self._shown = now
            self._show(self.line(now - self._start))

    def close(self) -> None:
        """Remove the line of a terminal."""
        if self.stream.isatty():
            self._show("")

    def line(self, seconds: float) -> str:
        """Return what is shown after some seconds."""
        share = self.documents / self.n_documents if self.n_documents else 1.0
        left = timedelta(seconds=round(seconds / share - seconds)) if share > 0 else "unknown"
        return (
            f"{self.shards:,} of {self.n_shards:,} shards, {self.documents:,} of {self.n_documents:,} documents, "
            f"{self.words / max(seconds, 1e-9):,.0f} words/s, {left} left"
        )

    def _show(self, line: str) -> None:
        self.stream.write(f"\r\x1b[K{line}" if self.stream.isatty() else f"{line}\n")
        self.stream.flush()
