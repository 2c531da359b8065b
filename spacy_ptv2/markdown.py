"""Writes tables in Markdown. In: cells as they are to stand there. Out: text without a line break at its end."""

from __future__ import annotations

from collections.abc import Sequence

MARKS = {"l": "---", "r": "---:"}


def table(header: Sequence[str], rows: Sequence[Sequence[str]], aligns: Sequence[str] = ()) -> str:
    """Return a table. aligns (Sequence[str]): "l" or "r" for each column; all to the left without it."""
    marks = [MARKS[align] for align in aligns or ["l"] * len(header)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, marks, *rows))
