"""A logger that writes the learning curve in addition to spaCy's table: one JSON line per evaluation."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from spacy.language import Language
from spacy.training.loggers import console_logger_v3

from .memory import peak_gpu_memory, peak_memory

CURVE = "curve.jsonl"  # what a curve is called in the folder of its training
LogStep = Callable[[dict[str, Any] | None], None]
Logger = Callable[[Language, IO[str], IO[str]], tuple[LogStep, Callable[[], None]]]


def build_curve_logger_v1(path: str | Path | None = None, progress_bar: bool = True) -> Logger:
    """Build spaCy's console table plus a file with the curve.

    path (str | Path | None): A JSON-lines file with step, epoch, seconds since the start of training (evaluations
        included), words, losses, score, the other scores and the peak memory of the process in bytes (`peak_memory`,
        and `peak_gpu_memory` on a GPU) at every evaluation; None for the table alone.
    progress_bar (bool): Show the steps of the training and the time left, if standard error is a terminal.
    """
    table = console_logger_v3(progress_bar="train" if progress_bar else None)
    curve = None if path is None else Path(path)

    def setup(nlp: Language, stdout: IO[str] = sys.stdout, stderr: IO[str] = sys.stderr) -> tuple[LogStep, Any]:
        log_table, finalize = table(nlp, stdout, stderr)
        if curve is not None:
            curve.parent.mkdir(parents=True, exist_ok=True)
            curve.write_text("", encoding="utf8")

        def log_step(info: dict[str, Any] | None) -> None:
            log_table(info)
            if info is not None and curve is not None:
                with curve.open("a", encoding="utf8") as stream:
                    stream.write(json.dumps(curve_point(info)) + "\n")

        return log_step, finalize

    return setup


def curve_point(info: dict[str, Any]) -> dict[str, Any]:
    """Return the content of one line of the curve. info (dict[str, Any]): What spaCy's loop logs at an evaluation.

    Its peaks of memory are those of the process so far. One that the system does not tell is left out.
    """
    kept = {key: info[key] for key in ("step", "epoch", "seconds", "words", "score")}
    scores = {key: value for key, value in info["other_scores"].items() if isinstance(value, int | float)}
    losses = {name: float(value) for name, value in info["losses"].items()}  # numpy scalars are not JSON
    peaks = {"peak_memory": peak_memory(), "peak_gpu_memory": peak_gpu_memory()}
    known = {name: n_bytes for name, n_bytes in peaks.items() if n_bytes is not None}
    return {**kept, **known, "losses": losses, "scores": scores}
