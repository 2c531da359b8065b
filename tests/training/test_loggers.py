"""The progress bar: asked for, refused, or left to the terminal. The curve itself is tested in test_training.py."""

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
    ("setting", "stderr", "shown"),
    [
        (None, Terminal, True),
        (None, io.StringIO, False),
        (True, io.StringIO, True),
        (False, Terminal, False),
    ],
)
def test_progress_bar(setting, stderr, shown):
    nlp = spacy.blank("en")
    nlp.config["training"]["eval_frequency"] = 2
    stream = stderr()
    log_step, finalize = build_curve_logger_v1(progress_bar=setting)(nlp, io.StringIO(), stream)
    log_step({**INFO, "score": 0.5, "checkpoints": [(0.5, 0)]})
    log_step(None)
    finalize()
    assert ("0/2" in stream.getvalue()) == shown
