"""What the package adds to `import spacy`, to `spacy.blank("en")` and to `spacy --help`.

python -m benchmarks.speed.import_time [--repeats 10]

Each run is a fresh process; those with and without alternate, the first round warms the disk cache. Without the package
the last two run with its entry points hidden from importlib.metadata; those of spacy-transformers, whose factories load
transformers, are hidden from `spacy.blank` in both. Times include the start of Python: by the clock, and what the
processor spent on it, which other jobs of the machine disturb less.
Bars: at most 50 ms beyond `import spacy` and 100 ms beyond `spacy.blank("en")`; `spacy --help` not slower, within the
spread of its own repeats.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

import typer

from ..lib.pipelines import seconds, spread
from ..lib.results import record, table

MAX_MILLISECONDS = {"import spacy_ptv2": 50, "spacy.blank": 100}
HIDE = """
import sys
from importlib import metadata
hidden = sys.argv.pop(1).split(",")
original = metadata.Distribution.entry_points.fget
kept = lambda found: metadata.EntryPoints(point for point in found if point.value.partition(".")[0] not in hidden)
metadata.Distribution.entry_points = property(lambda distribution: kept(original(distribution)))
"""
BLANK = f"{HIDE}import spacy; spacy.blank('en')"
HELP = f"""{HIDE}
from spacy.cli import setup_cli
sys.argv = ["spacy", "--help"]
setup_cli()
"""
# what is measured: the command with the package, the one without
PAIRS: dict[str, tuple[list[str], list[str]]] = {
    "import spacy_ptv2": (["import spacy, spacy_ptv2"], ["import spacy"]),
    "spacy.blank": ([BLANK, "spacy_transformers"], [BLANK, "spacy_transformers,spacy_ptv2"]),
    "spacy --help": ([HELP, "nothing"], [HELP, "spacy_ptv2"]),
}
Times = Sequence[float]
HEADER = ("command", "measured", "without, ms", "with, ms", "beyond, ms", "with / without")


def main(repeats: int = 10, results: Path | None = None) -> None:
    """Print and record one row per command."""
    check_hidden()
    rows = [row(name, *measured) for name, pair in PAIRS.items() for measured in measure(*pair, repeats)]
    bars = ", ".join(f"{name} at most {most} ms beyond" for name, most in MAX_MILLISECONDS.items())
    text = f"{table(HEADER, rows)}\n\nbars: {bars}"
    print(text)
    record("Import time", text, results)


def check_hidden() -> None:
    """Stop unless our command shows in the help with the package, and only there."""
    shown = [" ptv2 " in run(arguments).decode() for arguments in PAIRS["spacy --help"]]
    if shown != [True, False]:
        raise SystemExit(f"`ptv2` in the help of spacy with the package and without: {shown}")


def measure(with_it: Sequence[str], without: Sequence[str], repeats: int) -> list[tuple[str, Times, Times]]:
    """Return the milliseconds of both in each round but the first, by the clock and of the processor."""
    rounds = [[timed(arguments) for arguments in (with_it, without)] for _ in range(repeats + 1)][1:]
    return [
        (kind, [own[0][place] for own in rounds], [own[1][place] for own in rounds])
        for place, kind in enumerate(("clock", "processor"))
    ]


def timed(arguments: Sequence[str]) -> tuple[float, float]:
    """Return the milliseconds of a fresh process, by the clock and of the processor."""
    before = os.times()
    elapsed = seconds(partial(run, arguments))
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return 1000 * elapsed, 1000 * spent


def run(arguments: Sequence[str]) -> bytes:
    """Run Python code in a fresh process. RETURNS: What it printed."""
    return subprocess.run([sys.executable, "-c", *arguments], check=True, capture_output=True).stdout


def row(name: str, kind: str, with_it: Times, without: Times) -> list[str]:
    """Return a row of the table; what lies beyond and the ratio are taken round by round."""
    beyond = [a - b for a, b in zip(with_it, without, strict=True)]
    ratio = spread([a / b for a, b in zip(with_it, without, strict=True)])
    distance = f"{median(beyond):.0f} ({min(beyond):.0f} to {max(beyond):.0f})"
    return [name, kind, f"{median(without):.0f}", f"{median(with_it):.0f}", distance, ratio]


if __name__ == "__main__":
    typer.run(main)
