"""``spacy ptv2 report``: shows a training, a comparison or a search for settings as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from spacy.cli._util import setup_gpu
from wasabi import msg

from ..errors import Errors, PTuningError
from .evaluate import evaluate
from .messages import fail
from .training_config import GpuId

if TYPE_CHECKING:
    from ..comparison.finished import Finished
    from ..reports.training import Training
    from ..tuning.results import Result

PAGE = "report.html"


def report_cli(
    folder: Annotated[
        Path,
        typer.Argument(
            help="A training (with model-best), or a folder of `compare` or `tune`.", exists=True, file_okay=False
        ),
    ],
    output: Annotated[Path | None, typer.Argument(help="The page, by default report.html in that folder.")] = None,
    test: Annotated[
        Path | None,
        typer.Option("--test", "-t", help="Gold data in .spacy format to evaluate on.", exists=True, dir_okay=False),
    ] = None,
    use_gpu: GpuId = -1,
) -> None:
    """Show a training, a comparison or a search in one HTML file: curves, scores by label, errors, trained numbers.

    The file needs no network and no other file. Scores, confusion, calibration and errors are those of the best
    pipeline on --test; of a comparison or a search, of the run that was best on dev.
    """
    from ..reports.charts import check_matplotlib
    from ..reports.page import check_output

    page = output or folder / PAGE
    try:
        check_output(page)
        check_matplotlib()
        setup_gpu(use_gpu)
        _write(page, folder, test)
    except PTuningError as error:
        fail("Cannot report", str(error))
    msg.good(f"Saved the report to {page}")


def _write(page: Path, folder: Path, test: Path | None) -> None:
    import spacy

    from ..comparison.finished import is_comparison, read_comparison
    from ..corpora.report import read_docs
    from ..reports.training import read_training
    from ..reports.training_page import Evaluation, write_training_page
    from ..tuning.record import is_tuning
    from ..tuning.results import read_results

    comparison = read_comparison(folder) if is_comparison(folder) else None
    tuning = read_results(folder) if is_tuning(folder) else None
    if comparison is not None:
        training = _best(comparison, folder)
    else:
        training = read_training(folder) if tuning is None else _best_trial(tuning, folder)
    pipeline = None if training is None else training.pipeline
    if test is not None and pipeline is None:
        raise PTuningError(Errors.P783.format(path=folder, test=test))
    nlp: Any = None if pipeline is None else spacy.load(pipeline)
    evaluation = None
    if test is not None:
        if not any(len(doc) for doc in read_docs(test, nlp)):
            raise PTuningError(Errors.P784.format(path=test))
        scores, examples = evaluate(nlp, test)
        evaluation = Evaluation(test.name, scores, examples)
    title = folder.resolve().name
    shown = {"training": training, "nlp": nlp, "evaluation": evaluation, "comparison": comparison, "tuning": tuning}
    write_training_page(page, title=title, **shown)


def _best(comparison: Finished, folder: Path) -> Training | None:
    """Return the run of a comparison that was best on dev, of those whose pipeline is kept."""
    from ..comparison.methods import METHODS
    from ..reports.training import has_pipeline, read_training

    runs = [run for method, own in comparison.table.items() if not METHODS[method].is_full for run in own]
    kept = [(job, outcome) for job, outcome in runs if has_pipeline(folder / job.name)]
    if not kept:
        return None
    job, _ = max(kept, key=lambda run: run[1].dev)
    return read_training(folder / job.name)


def _best_trial(results: Sequence[Result], folder: Path) -> Training | None:
    """Return the trial of a search that was best on dev, if its pipeline is there."""
    from ..reports.training import has_pipeline, read_training
    from ..tuning.results import TRIALS, best_of

    best = best_of(results)
    if best is None or not has_pipeline(folder / TRIALS / best.name):
        return None
    return read_training(folder / TRIALS / best.name)
