"""Confusion matrices: what is gold in rows, what was predicted in columns.

In: pairs of a gold and a predicted label, None where one of them is missing. Out: a table of at most `MOST` labels,
those that are confused most; the others share a row and a column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

MOST = 20
OTHERS = "other labels"


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix.

    rows, columns (list[str]): The labels, and at the end of the rows what is spurious, of the columns what is missed.
    table (list[list[int]]): Counts. n_left_out (int): How many labels are among `OTHERS`.
    """

    rows: list[str]
    columns: list[str]
    table: list[list[int]]
    n_left_out: int


def confuse(pairs: Iterable[tuple[str | None, str | None]], missed: str, spurious: str) -> Confusion:
    """Count pairs of a gold and a predicted label.

    missed, spurious (str): The name of the column of gold labels without a predicted one, and of the row of predicted
        ones without a gold one.
    """
    counts = Counter(pairs)
    wrong, total = Counter[str](), Counter[str]()
    for pair, n in counts.items():
        for label in {label for label in pair if label is not None}:
            total[label] += n
            wrong[label] += n * (None not in pair and pair[0] != pair[1])
    ranked = sorted(total, key=lambda label: (-wrong[label], -total[label], label))
    kept = sorted(ranked[:MOST], key=lambda label: (-total[label], label))
    shown: list[str | None] = [*kept]
    merged: Counter[tuple[str | None, str | None]] = Counter()
    for (gold, predicted), n in counts.items():
        merged[_shown(gold, kept), _shown(predicted, kept)] += n
    if len(ranked) > MOST:
        shown.append(OTHERS)
    rows = [*shown, *([None] if any(gold is None for gold, _ in merged) else [])]
    columns = [*shown, *([None] if any(predicted is None for _, predicted in merged) else [])]
    return Confusion(
        [spurious if row is None else row for row in rows],
        [missed if column is None else column for column in columns],
        [[merged[row, column] for column in columns] for row in rows],
        max(0, len(ranked) - MOST),
    )


def _shown(label: str | None, kept: list[str]) -> str | None:
    return label if label is None or label in kept else OTHERS
