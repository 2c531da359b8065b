"""The progress bar: shown on a terminal unless refused. The curve itself is tested in test_training.py."""

import io

import pytest
import spacy

from spacy_ptv2.training.loggers import build_curve_logger_v1

INFO = {"step": 0, "epoch": 0, "seconds": 1, "words": 3, "score": None, "losses": {}, "other_scores": {}}


class Terminal(io.StringIO):
    """Text that says it goes to a terminal."""

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("settings", "stderr", "shown"),
    [
        ({}, Terminal, True),
        ({}, io.StringIO, False),
        ({"progress_bar": False}, Terminal, False),
    ],
)
def test_progress_bar(settings, stderr, shown):
    nlp = spacy.blank("en")
    nlp.config["training"]["max_steps"] = 20
    stream = stderr()
    log_step, finalize = build_curve_logger_v1(**settings)(nlp, io.StringIO(), stream)
    log_step({**INFO, "score": 0.5, "checkpoints": [(0.5, 0)]})
    log_step(None)
    finalize()
    assert ("/20 [" in stream.getvalue()) == shown
