"""Which charts the page of a search has, and what their texts for those who cannot see them say.

In: the trials that have ended. Out: the history of their scores, the learning curves, and for each setting the scores
by its values.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from ..reading import is_number
from ..tuning.results import FINISHED, Result, best_of
from ..tuning.table import short_names, value_text
from . import charts
from .charts import Chart, Line

SCORE = "best score on dev, %"
LOG_FROM = 20  # times the smallest value, from which on an axis is logarithmic
OTHERS, SO_FAR = "pruned", "best so far"


def of_tuning(results: Sequence[Result], settings: Sequence[str]) -> list[Chart]:
    """Return the charts; without an evaluation none. settings (Sequence[str]): What varied, by dotted names."""
    evaluated = [result for result in results if result.curve]
    if not evaluated:
        return []
    by_setting = (_by_setting(evaluated, setting, short) for setting, short in short_names(settings).items())
    return [_history(evaluated), _curves(evaluated), *(chart for chart in by_setting if chart is not None)]


def _history(results: Sequence[Result]) -> Chart:
    """Draw the score of each trial in their order, and the best so far."""
    numbers = [float(result.number) for result in results]
    so_far = list(accumulate((100 * result.score for result in results), max))
    alt = f"Score of each of {len(results)} trials; the best so far rises from {so_far[0]:.1f} to {so_far[-1]:.1f}."
    found: list[Line] = [("trials", numbers, [100 * own.score for own in results]), (SO_FAR, numbers, so_far)]
    return charts.points("History", alt, found, "trial", SCORE, steps=SO_FAR)


def _curves(results: Sequence[Result]) -> Chart:
    """Draw the score of each trial by step, the best trial, the shipped config and the others in a colour each."""
    best = best_of(results)

    def name_of(result: Result) -> str:
        return "best" if result is best else "shipped config" if result.is_shipped else "others"

    found: list[Line] = [
        (name_of(own), [float(step) for step, _ in own.curve], [100 * score for _, score in own.curve])
        for own in results
    ]
    found.sort(key=lambda line: ("others", "shipped config", "best").index(line[0]))  # what matters is drawn last
    n_short = sum(own.state != FINISHED for own in results)
    alt = f"Score on dev by step, a line for each of {len(results)} trials, of which {n_short} ended early."
    return charts.lines("Learning curves", alt, found, "step", "score on dev, %")


def _by_setting(results: Sequence[Result], setting: str, short: str) -> Chart | None:
    """Draw the scores by the values of a setting; numbers on a scale, other values side by side."""
    known = [result for result in results if setting in result.settings]
    if not known:
        return None
    values = [result.settings[setting] for result in known]
    texts = sorted({value_text(result.settings, setting) for result in known})
    are_numbers = all(map(is_number, values))
    places = values if are_numbers else [texts.index(value_text(result.settings, setting)) for result in known]
    groups = {FINISHED: [own.state == FINISHED for own in known], OTHERS: [own.state != FINISHED for own in known]}
    found: list[Line] = []
    for name, members in groups.items():
        chosen = [(float(x), 100 * own.score) for x, own, is_in in zip(places, known, members, strict=True) if is_in]
        if chosen:
            found.append((name, [x for x, _ in chosen], [y for _, y in chosen]))
    best = max(known, key=lambda own: own.score)
    alt = f"Score by {setting}, {len(known)} trials. The best has {value_text(best.settings, setting)}."
    log = are_numbers and min(values) > 0 and max(values) >= LOG_FROM * min(values)
    return charts.points(f"Score by {short}", alt, found, short, SCORE, log=log, names=() if are_numbers else texts)
