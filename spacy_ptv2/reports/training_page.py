"""The page of a training or of a comparison: what was read and measured, as its template shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.training import Example

from ..comparison import table as comparison_table
from ..comparison.finished import Finished
from ..parameter_groups import BYTES_PER_NUMBER
from ..training.trainer import main_score
from ..tuning.results import Result, best_of, ranked
from ..tuning.table import header_of, rows_of, short_names
from . import bootstrap, confusion, training_charts, tuning_charts
from .calibration import N_BINS
from .excerpts import LONGEST, MOST
from .measured import Measured, measure, other_scores
from .page import duration, interval, percent, size, write_page
from .parameters import Parameters, locate_parameters
from .training import Training

# How much the page shows at most, as its notes say.
LIMITS = {"errors": MOST, "labels": 100, "confused": confusion.MOST, "bins": N_BINS, "characters": LONGEST}


@dataclass(frozen=True)
class Evaluation:
    """What a pipeline reached on gold Docs. corpus (str): The name of their file."""

    corpus: str
    scores: Mapping[str, Any]
    examples: Sequence[Example]


@dataclass(frozen=True)
class Card:
    """One of the figures at the head of a page."""

    name: str
    value: str
    note: str = ""


def write_training_page(
    path: Path,
    *,
    title: str,
    training: Training | None,
    nlp: Language | None,
    evaluation: Evaluation | None = None,
    comparison: Finished | None = None,
    tuning: Sequence[Result] | None = None,
) -> None:
    """Write the page.

    training (Training | None): What is shown in detail; None if no pipeline of a comparison or a search is kept.
    nlp (Language | None): Its best pipeline, if that is kept. evaluation (Evaluation | None): Of that pipeline.
    comparison (Finished | None), tuning (Sequence[Result] | None): None for a single training.
    RAISES (CorpusError): P024 if it cannot be written.
    """
    measured = [] if evaluation is None else measure(evaluation.scores, evaluation.examples)
    parameters = None if nlp is None else locate_parameters(nlp)
    write_page(
        path,
        "training.html",
        title=title,
        nlp=nlp,
        training=training,
        evaluation=evaluation,
        table=None if comparison is None else _table(comparison),
        tuning=None if tuning is None else _tuning(tuning),
        comparison_charts=[] if comparison is None else training_charts.of_comparison(comparison),
        cards=[] if training is None else [*_cards(training, nlp, evaluation, measured, parameters)],
        curve=[] if training is None else training_charts.of_curve(training.curve),
        measured=[(own, training_charts.of_measured(own)) for own in measured],
        others=([], []) if evaluation is None else other_scores(evaluation.scores),
        parameters=parameters,
        models=[] if parameters is None else training_charts.of_parameters(parameters),
        bootstrap=bootstrap,
        limits=LIMITS,
    )


def _table(comparison: Finished) -> dict[str, Any]:
    return {
        "header": comparison_table.HEADER,
        "aligns": comparison_table.ALIGNS,
        "rows": comparison_table.rows_of(comparison.table),
        "seeds": sorted({job.seed for runs in comparison.table.values() for job, _ in runs}),
        "others": [(job.name, outcome) for job, outcome in comparison.others],
        "running": comparison.running,
    }


def _tuning(results: Sequence[Result]) -> dict[str, Any]:
    settings = list(dict.fromkeys(setting for result in results for setting in result.settings))
    return {
        "header": header_of(settings),
        "rows": rows_of(results, settings),
        "names": short_names(settings),
        "best": best_of(results),
        "failed": [result for result in ranked(results) if result.failure],
        "charts": tuning_charts.of_tuning(results, settings),
    }


def _cards(
    training: Training,
    nlp: Language | None,
    evaluation: Evaluation | None,
    measured: Sequence[Measured],
    parameters: Parameters | None,
) -> Iterator[Card]:
    if nlp is not None and evaluation is not None:
        yield _main_card(nlp, evaluation, measured)
    if training.best is not None:
        yield Card("best score on dev", percent(training.best.score), f"at step {training.best.step:,}")
    if parameters is not None:
        shares = [f"{100 * own.total / own.of_backbone:.2f} % of {own.backbone}" for own in parameters.adapters]
        yield Card("trained numbers", f"{parameters.total:,}", f"adapter: {', '.join(shares)}" if shares else "")
    numbers = "" if parameters is None else f"trained numbers alone: {size(BYTES_PER_NUMBER * parameters.total)}"
    yield Card("saved pipeline", size(training.n_bytes), numbers)
    if training.curve:
        last = training.curve[-1]
        yield Card("steps", f"{last.step:,}", f"{len(training.curve)} evaluations")
        yield Card("training time", duration(last.seconds), "with its evaluations")
        if (peak := training.peak("peak_memory")) is not None:
            on_gpu = training.peak("peak_gpu_memory")
            note = "" if on_gpu is None else f"; on the GPU: {size(on_gpu)}"
            yield Card("peak memory", size(peak), f"of the training process, evaluations included{note}")
    if evaluation is not None and (speed := evaluation.scores.get("speed")):
        yield Card("speed", f"{speed:,.0f}", f"words per second, on {evaluation.corpus}")


def _main_card(nlp: Language, evaluation: Evaluation, measured: Sequence[Measured]) -> Card:
    """Return the main score by the config's `score_weights`, with its interval if that is known."""
    weights = {name: weight for name, weight in nlp.config["training"]["score_weights"].items() if weight}
    value = main_score(evaluation.scores, weights)
    note = f"{' + '.join(weights) or 'no score_weights'}, on {evaluation.corpus}"
    known = [own for own in measured if [*weights] == [own.metric]]
    if known:
        note += f"; {bootstrap.LEVEL} %: {interval(known[0].main[1])}"
    return Card("main score", percent(value), note)
