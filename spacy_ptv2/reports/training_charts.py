"""Which charts the page of a training has, and what their texts for those who cannot see them say."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from ..comparison.finished import Finished
from ..comparison.methods import METHODS
from ..parameter_groups import PARTS
from . import charts
from .bootstrap import LEVEL
from .charts import Chart
from .counts import LabelScores
from .measured import Measured
from .parameters import HEAD, Parameters
from .training import Point, losses_of

AXES = (("step", "by step", "step"), ("seconds", "by time", "seconds of training, with evaluations"))
MOST_MODELS = 8
MARGIN = 15  # points


def of_curve(curve: Sequence[Point]) -> list[Chart]:
    """Return the score and the losses, by step and by time; without a curve nothing."""
    if not curve:
        return []
    scores = [100 * point.score for point in curve]
    alt = f"Score on dev from {scores[0]:.1f} at first to {scores[-1]:.1f} in the end, at best {max(scores):.1f}."
    losses = list(losses_of(curve))
    drawn = []
    for name, by, axis in AXES:
        xs = [getattr(point, name) for point in curve]
        drawn.append(_scores(f"Score {by}", alt, [("score", xs, scores)], axis))
    for name, by, axis in AXES if losses else ():
        lines = [
            (component, [getattr(p, name) for p in points], [p.losses[component] for p in points])
            for component, points in losses
        ]
        text = "; ".join(f"{component}: from {ys[0]:.3g} to {ys[-1]:.3g}" for component, _, ys in lines)
        is_log = all(y > 0 for _, _, ys in lines for y in ys)
        title = f"Loss since the evaluation before, {by}"
        drawn.append(charts.lines(title, f"Losses by component. {text}.", lines, axis, "loss", log=is_log))
    return drawn


def of_comparison(comparison: Finished) -> list[Chart]:
    """Return the scores of all runs in the table, by step and by time, a colour for each method."""
    runs = [(METHODS[method].label, outcome.curve) for method, own in comparison.table.items() for _, outcome in own]
    drawn = []
    for place, (_, by, axis) in enumerate(AXES):
        lines = [(name, [p[place] for p in curve], [100 * p[2] for p in curve]) for name, curve in runs if curve]
        if lines:
            best = "; ".join(f"{name}: at best {max(ys):.1f}" for name, _, ys in lines)
            alt = f"Score on dev {by}, a line for each of {len(lines)} runs. {best}."
            drawn.append(_scores(f"All runs {by}", alt, lines, axis))
    return drawn


def _scores(title: str, alt: str, lines: Sequence[charts.Line], axis: str) -> Chart:
    """Draw scores. The axis begins where differences are seen: below the middle of every run, not at a first 0."""
    bottom = max(0, int(min(median(ys) for _, _, ys in lines)) - MARGIN)
    name = "score on dev, %" + (f" (above {bottom})" if bottom else "")
    return charts.lines(title, alt, lines, axis, name, bottom=bottom)


def of_measured(measured: Measured) -> dict[str, Chart]:
    """Return the charts of one kind of annotation: "labels" and, if there are confidences, "calibration"."""
    drawn = {}
    rows = [row for own in measured.scores.labels if (row := _interval(own)) is not None]
    if rows:
        shown = f"The first {charts.MOST_BARS} of {len(rows)} labels" if len(rows) > charts.MOST_BARS else "All labels"
        alt = f"F1 by label with intervals of {LEVEL} %. {shown}; the table has the figures."
        drawn["labels"] = charts.intervals("F1 by label", alt, rows, f"F1 and its interval of {LEVEL} %")
    if (found := measured.calibration) is not None:
        pairs = ", ".join(f"{100 * confidence:.0f} → {100 * right:.0f}" for confidence, right, _ in found.bins)
        alt = (
            f"Share of right predictions by mean confidence, in percent: {pairs}. On the diagonal both would be equal."
        )
        drawn["calibration"] = charts.reliability("Reliability", alt, found.bins)
    return drawn


def _interval(own: LabelScores) -> tuple[str, float, float, float] | None:
    if own.f1.value is None or own.f1.interval is None:
        return None
    return own.label, 100 * own.f1.value, 100 * own.f1.interval[0], 100 * own.f1.interval[1]


def of_parameters(parameters: Parameters) -> list[Chart]:
    """Return a picture of the model of each adapter: its embeddings, its layers, and the heads of the pipeline."""
    heads = {HEAD: sum(parameters.heads.values())}
    drawn = []
    for own in parameters.adapters[:MOST_MODELS]:
        layers = [(f"layer {number}", layer) for number, layer in enumerate(own.layers)]
        rows = [("embeddings", own.embeddings), *layers, ("heads", heads)]
        text = ", ".join(f"{part.replace('_', ' ')} {own.totals[part]:,}" for part in PARTS if part in own.totals)
        alt = f"Trained numbers in {own.n_layers} layers of {own.backbone}: {text}; heads {heads[HEAD]:,}."
        drawn.append(charts.model(f"{own.component}, over {own.backbone}", alt, rows))
    return drawn
