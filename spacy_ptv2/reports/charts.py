"""Draws charts as images of SVG that a page contains as data, so that no script of theirs could ever run.

In: points, scores, counts. Out: `Chart`s, with a text that says what can be seen. The texts of a chart stay texts, and
what matplotlib would read as a formula ("$") is plain text.
"""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from ..errors import Errors, PTuningError
from ..parameter_groups import PARTS

COLOURS = ("#2b5c8a", "#c2583a", "#4d7c4a", "#7a5a86", "#9a7300", "#2f7d80", "#8c3f57", "#5c6670")
INK, RULES = "#25313c", "#d9dee3"
WIDTH, HEIGHT = 5.2, 3.3  # inches
MOST_POINTS = 400  # of one line
MOST_BARS = 30
LONGEST_NAME = 28
SETTINGS: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": RULES,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 10,
    "grid.color": RULES,
    "grid.linewidth": 0.6,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "svg.fonttype": "none",  # letters are those of the reader's system, of any script
    "svg.hashsalt": "spacy_ptv2",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
}
NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
Line = tuple[str, Sequence[float], Sequence[float]]  # name, x, y


@dataclass(frozen=True)
class Chart:
    """A chart. title (str): Its heading. alt (str): What it shows. source (str): A data URL."""

    title: str
    alt: str
    source: str


def check_matplotlib() -> None:
    """RAISES (PTuningError): P780 if matplotlib is missing."""
    if find_spec("matplotlib") is None:
        raise PTuningError(Errors.P780)


def draw(title: str, alt: str, plot: Callable[[Any, Any], None], *, height: float = HEIGHT) -> Chart:
    """Draw one chart. plot (Callable): Gets the figure and its axes."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    content = io.BytesIO()
    with rc_context(SETTINGS), warnings.catch_warnings():  # letters that the font for measuring lacks are still shown
        warnings.simplefilter("ignore", UserWarning)
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        plot(figure, figure.subplots())
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    source = "data:image/svg+xml;base64," + base64.b64encode(content.getvalue()).decode("ascii")
    return Chart(title, alt, source)


def plain(name: str) -> str:
    """Return a name that an axis has room for, of characters that XML may contain."""
    name = NOT_XML.sub("\ufffd", " ".join(name.split()))
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _entry(name: str) -> str:
    """Return a name in a legend, where matplotlib leaves out what begins with an underscore."""
    return "\u200b" + plain(name)


def lines(
    title: str, alt: str, found: Sequence[Line], x: str, y: str, *, log: bool = False, bottom: float | None = None
) -> Chart:
    """Draw lines; those with one name share a colour and an entry of the legend. bottom: Where the axis begins."""
    names = list(dict.fromkeys(name for name, _, _ in found))

    def plot(figure: Any, axes: Any) -> None:
        for name, xs, ys in found:
            style = {"color": COLOURS[names.index(name) % len(COLOURS)], "lw": 1.6, "alpha": 0.9}
            axes.plot(_thin(xs), _thin(ys), marker="o" if len(xs) < 40 else None, ms=3.2, **style)
        axes.set(xlabel=x, ylabel=y, yscale="log" if log else "linear")
        axes.set_ylim(bottom=bottom)
        if log:
            _write_plainly(axes.yaxis)
        if len(names) > 1:
            handles = axes.get_lines()
            shown = {name: handles[[other for other, _, _ in found].index(name)] for name in names}
            figure.legend(shown.values(), map(_entry, shown), loc="outside lower center", ncols=2)

    return draw(title, alt, plot, height=HEIGHT + 0.22 * (len(names) // 2))


def points(
    title: str,
    alt: str,
    found: Sequence[Line],
    x: str,
    y: str,
    *,
    log: bool = False,
    names: Sequence[str] = (),
    steps: str | None = None,
) -> Chart:
    """Draw points, those of one name in a colour.

    names (Sequence[str]): Of the places 0, 1, ... on the x axis. steps (str | None): Which ones are a line of steps.
    """

    def plot(figure: Any, axes: Any) -> None:
        for i, (name, xs, ys) in enumerate(found):
            style = {"drawstyle": "steps-post"} if name == steps else {"ls": "", "marker": "o", "ms": 5}
            axes.plot(xs, ys, color=COLOURS[i % len(COLOURS)], alpha=0.9, label=_entry(name), **style)
        axes.set(xlabel=x, ylabel=y, xscale="log" if log else "linear")
        if log:
            _write_few_plainly(axes.xaxis)
        if names:
            axes.set_xticks(range(len(names)), [plain(name) for name in names])
            axes.set_xlim(-0.5, len(names) - 0.5)
        if len(found) > 1:
            figure.legend(loc="outside lower center", ncols=3)

    return draw(title, alt, plot)


def _write_few_plainly(axis: Any) -> None:
    """Write 1 and 3 of each decade, for numbers so long that there is no room for more."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axis.set_major_formatter(lambda value, _: f"{value:,g}")
    axis.set_minor_formatter(NullFormatter())


def _write_plainly(axis: Any) -> None:
    """Write the numbers of a logarithmic axis as they are; matplotlib's own are formulas."""
    from matplotlib.ticker import LogFormatter

    class Plain(LogFormatter):
        def __call__(self, value: float, pos: int | None = None) -> str:
            return f"{value:,g}" if super().__call__(value, pos) else ""

    axis.set_major_formatter(Plain())
    axis.set_minor_formatter(Plain(minor_thresholds=(2, 0.5)))


def _thin(values: Sequence[float]) -> list[float]:
    """Return at most `MOST_POINTS` of some values, evenly spaced, with the first and the last."""
    n = len(values)
    if n <= MOST_POINTS:
        return list(values)
    return [values[round(i * (n - 1) / (MOST_POINTS - 1))] for i in range(MOST_POINTS)]


def intervals(title: str, alt: str, rows: Sequence[tuple[str, float, float, float]], x: str) -> Chart:
    """Draw scores with their intervals. rows (Sequence): Name, score, bounds; the first one is at the top."""
    rows = rows[:MOST_BARS]

    def plot(figure: Any, axes: Any) -> None:
        places = range(len(rows))
        scores = [score for _, score, _, _ in rows]
        distances = [
            [max(0.0, score - low) for _, score, low, _ in rows],
            [max(0.0, high - s) for _, s, _, high in rows],
        ]
        axes.errorbar(scores, places, xerr=distances, fmt="o", color=COLOURS[0], ecolor="#8fb0cc", elinewidth=3, ms=5)
        axes.set_yticks(places, [plain(name) for name, *_ in rows])
        axes.set(xlabel=x, xlim=(-2, 102), ylim=(len(rows) - 0.5, -0.5))
        axes.grid(axis="y", visible=False)

    return draw(title, alt, plot, height=0.9 + 0.27 * max(3, len(rows)))


def reliability(title: str, alt: str, bins: Sequence[tuple[float, float, int]]) -> Chart:
    """Draw the share of right predictions by confidence. bins: See `Calibration.bins`."""

    def plot(figure: Any, axes: Any) -> None:
        axes.plot([0, 100], [0, 100], color="#8a949e", lw=1, ls="--", label="as sure as right")
        confidences, shares = ([100 * one[i] for one in bins] for i in range(2))
        axes.plot(confidences, shares, "o-", color=COLOURS[0], lw=1.6, ms=5, label="this pipeline")
        axes.set(xlabel="mean confidence, %", ylabel="right, %", xlim=(-3, 103), ylim=(-3, 103))
        axes.legend(loc="upper left")

    return draw(title, alt, plot)


def model(title: str, alt: str, rows: Sequence[tuple[str, Mapping[str, int]]]) -> Chart:
    """Draw trained numbers by place, the first at the bottom. rows (Sequence): Name and numbers by part."""
    parts = [part for part in PARTS if any(numbers.get(part) for _, numbers in rows)]

    def plot(figure: Any, axes: Any) -> None:
        left = [0] * len(rows)
        for part in parts:
            widths = [numbers.get(part, 0) for _, numbers in rows]
            colour = COLOURS[PARTS.index(part)]
            axes.barh(range(len(rows)), widths, left=left, color=colour, height=0.72, label=part.replace("_", " "))
            left = [a + b for a, b in zip(left, widths, strict=True)]
        axes.set_yticks(range(len(rows)), [plain(name) for name, _ in rows])
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.xaxis.set_major_locator(_few_ticks())
        axes.set(xlabel="trained numbers")
        axes.grid(axis="y", visible=False)
        figure.legend(loc="outside lower center", ncols=3)

    return draw(title, alt, plot, height=1.4 + 0.22 * max(4, len(rows)))


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4)


def bars(title: str, alt: str, names: Sequence[str], series: Mapping[str, Sequence[float]], x: str) -> Chart:
    """Draw a group of bars for each name, the first at the top. series (Mapping): The values of each series."""
    names = names[:MOST_BARS]

    def plot(figure: Any, axes: Any) -> None:
        height = 0.8 / len(series)
        for i, (name, values) in enumerate(series.items()):
            places = [place + (i - (len(series) - 1) / 2) * height for place in range(len(names))]
            colour = COLOURS[i % len(COLOURS)]
            axes.barh(places, values[: len(names)], height=height, color=colour, label=_entry(name))
        axes.set_yticks(range(len(names)), [plain(name) for name in names])
        axes.set(xlabel=x, ylim=(len(names) - 0.5, -0.5))
        axes.grid(axis="y", visible=False)
        if len(series) > 1:
            figure.legend(loc="outside lower center", ncols=2)

    return draw(title, alt, plot, height=1.1 + 0.1 * max(8, len(names) * max(2.4, 1.4 * len(series))))


def shares(title: str, alt: str, found: Mapping[str, Iterable[int]], x: str) -> Chart:
    """Draw which share of some lengths is at most so long, on a logarithmic axis. found (Mapping): By corpus."""

    def plot(figure: Any, axes: Any) -> None:
        for i, (name, lengths) in enumerate(found.items()):
            values = sorted(max(1, length) for length in lengths)
            ranks = [100 * (place + 1) / len(values) for place in range(len(values))]
            axes.step(_thin(values), _thin(ranks), color=COLOURS[i % len(COLOURS)], label=_entry(name), lw=1.6)
        axes.set(xlabel=x, ylabel="% of documents", xscale="log", ylim=(0, 102))
        _write_plainly(axes.xaxis)
        if len(found) > 1:
            figure.legend(loc="outside lower center", ncols=2)

    return draw(title, alt, plot)
