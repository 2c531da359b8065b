"""``spacy ptv2 lr-find``: finds learning rates for a config, in a short training run with growing rates."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import srsly
import typer
from wasabi import msg

from ..errors import PTuningError
from .messages import fail, showing_config_errors
from .training_config import CodePath, ConfigPath, GpuId, read_training_config

if TYPE_CHECKING:
    from ..training.rate_curve import RatePoint, RateSuggestion
    from ..training.rate_finder import RateFinder

N_ROWS = 20


def rate_finder_cli(
    ctx: typer.Context,
    config_path: ConfigPath,
    steps: Annotated[int, typer.Option(help="Steps from a thousandth to a hundred times the configured rates.")] = 100,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The curve, as JSON.", dir_okay=False)] = None,
    code: CodePath = None,
    use_gpu: GpuId = -1,
) -> None:
    """Suggest learning rates for a config. Settings can be overridden as in `spacy train`; no pipeline is saved."""
    from ..training.rate_curve import suggest_rates
    from ..training.rate_finder import RateFinder

    config = read_training_config(ctx, config_path, code, use_gpu)
    try:
        with showing_config_errors(config_path):
            finder = RateFinder(config, steps=steps, use_gpu=use_gpu)
        _run(finder)
    except PTuningError as error:
        fail("Cannot find learning rates", str(error))
    points = finder.curve.points
    suggestion = suggest_rates(points)
    _print_curve(points, finder.rates)
    _print_suggestion(suggestion, finder.rates)
    if output is not None:
        _write(output, points, finder.rates, suggestion)


def _run(finder: RateFinder) -> None:
    """Run the test with its progress on standard error. If it ends early, say why."""
    n_steps = f"of {finder.steps} steps"
    try:
        with typer.progressbar(finder.run(), length=finder.steps, label="Range test", file=sys.stderr) as points:
            for _ in points:
                pass
    except KeyboardInterrupt:
        msg.warn(f"Interrupted after {len(finder.curve.points)} {n_steps}: the results are from these alone")
    if finder.curve.has_diverged:
        msg.info(f"Ended after {len(finder.curve.points)} {n_steps}: the loss was far above its best, or not finite")


def _print_curve(points: Sequence[RatePoint], rates: Mapping[str, float]) -> None:
    """Print points evenly spaced over the curve, including the first and the last."""
    n_rows = min(N_ROWS, len(points))
    shown = [points[round(row * (len(points) - 1) / max(1, n_rows - 1))] for row in range(n_rows)]
    rows = [
        (f"{p.factor:.2g}", *(f"{rate * p.factor:.2g}" for rate in rates.values()), f"{p.smoothed:.3f}") for p in shown
    ]
    msg.table(rows, header=("factor", *rates, "smoothed loss"), divider=True, aligns=["r"] * (len(rates) + 2))


def _print_suggestion(suggestion: RateSuggestion | None, rates: Mapping[str, float]) -> None:
    """Print which rates to train with, and how the configured rates compare with them."""
    if suggestion is None:
        msg.warn(
            "No suggestion: the loss does not clearly fall",
            "Try more --steps, or learn_rates a hundred times as high or as low. If that fails, check the corpus.",
        )
        return
    options = [
        f"--training.optimizer.learn_rates.{part} {rate * suggestion.factor:.2g}" for part, rate in rates.items()
    ]
    msg.good(f"Suggested: {suggestion.factor:.2g} times the configured rates. For `spacy train`:")
    print(" ".join(options))
    if suggestion.is_open:
        msg.warn(
            "The test ended while the loss was still falling, so higher rates may be better",
            "Let it run to its end. If it did, set learn_rates ten times as high.",
        )
        return
    good_range = f"The loss falls at {suggestion.lowest:.2g} to {suggestion.highest:.2g} times these rates."
    if suggestion.lowest <= 1.0 <= suggestion.highest:
        msg.good("The configured rates are in the good range", good_range)
    else:
        place = "below" if suggestion.lowest > 1.0 else "above"
        msg.warn(f"The configured rates are {place} the good range", good_range)


def _write(
    path: Path, points: Sequence[RatePoint], rates: Mapping[str, float], suggestion: RateSuggestion | None
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    curve = {
        "learn_rates": dict(rates),
        "points": [asdict(point) for point in points],
        "suggestion": None if suggestion is None else asdict(suggestion),
    }
    srsly.write_json(path, curve)
    msg.info(f"The curve: {path}")
