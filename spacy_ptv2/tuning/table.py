"""The table of a search: the trials, the best first, with the values of what varied."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..markdown import table
from .results import FINISHED, Result, best_of, ranked

FIXED = ("trial", "score", "at step", "seconds")
MOST_CHARACTERS = 40  # of a value


def header_of(settings: Sequence[str]) -> tuple[str, ...]:
    """Return the headings of `rows_of`. settings (Sequence[str]): What varied, by dotted names."""
    return (*FIXED, *short_names(settings).values(), "")


def aligns_of(settings: Sequence[str]) -> tuple[str, ...]:
    """Return how the columns are aligned."""
    return ("l", "r", "r", "r", *("r" for _ in settings), "l")


def rows_of(results: Sequence[Result], settings: Sequence[str]) -> list[tuple[str, ...]]:
    """Return a row for each trial, the best first."""
    best = best_of(results)
    return [_row(result, settings, is_best=result is best) for result in ranked(results)]


def _row(result: Result, settings: Sequence[str], *, is_best: bool) -> tuple[str, ...]:
    step, score = ("", "") if result.best is None else (f"{result.best[0]:,}", f"{100 * result.score:.2f}")
    notes = ["best"] if is_best else []
    notes += ["shipped config"] if result.is_shipped else []
    notes += [] if result.state == FINISHED else [result.state]
    values = [value_text(result.settings, setting) for setting in settings]
    return (result.name, score, step, f"{result.seconds:.0f}", *values, ", ".join(notes))


def value_text(settings: Mapping[str, Any], setting: str) -> str:
    """Return the value of a setting as a cell shows it, nothing if there is none."""
    if setting not in settings:
        return ""
    value = settings[setting]
    text = f"{value:.4g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 3] + "..."


def short_names(settings: Sequence[str]) -> dict[str, str]:
    """Return for each dotted setting as many of its last names as tell it from the others."""
    shortened = {}
    for setting in settings:
        names = setting.split(".")
        for n in range(1, len(names) + 1):
            short = ".".join(names[-n:])
            if sum(other == short or other.endswith(f".{short}") for other in settings) == 1:
                break
        shortened[setting] = short
    return shortened


def markdown(results: Sequence[Result], settings: Sequence[str], title: str) -> str:
    """Return the table in Markdown, with the full names of the settings. title (str): Of the config."""
    rows = [[_cell(cell) for cell in row] for row in rows_of(results, settings)]
    lines = [f"Trials of {_cell(title)}, the best first. Scores in percent, by the config's score_weights on dev.", ""]
    lines += [table(header_of(settings), rows, aligns_of(settings)), ""]
    lines += [f"- {short}: `{setting}`" for setting, short in short_names(settings).items()]
    failures = [f"- {own.name} failed: {_cell(own.failure)}" for own in ranked(results) if own.failure]
    return "\n".join([*lines, *failures]) + "\n"


def _cell(text: str) -> str:
    """Return a text in one line, without what would end a cell or begin HTML."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
