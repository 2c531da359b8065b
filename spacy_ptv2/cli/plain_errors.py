"""Errors of ours in any command of spaCy, `spacy train` for one: the message alone, without a traceback.

Every `PTuningError` says what was got, what was expected and what to do; where in our code it was raised helps nobody
to do it. With the environment variable SPACY_PTV2_TRACEBACK the traceback is shown.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

import typer

from ..errors import PTuningError
from .messages import fail

VARIABLE = "SPACY_PTV2_TRACEBACK"
_WRAPPED = "_shows_errors_plainly"


def show_errors_plainly(app: typer.Typer) -> None:
    """Let the commands of an app end with the message of a `PTuningError`, on standard error, and the exit code 1."""
    for command in app.registered_commands:
        if command.callback is not None and not hasattr(command.callback, _WRAPPED):
            command.callback = _plainly(command.callback)


def _plainly(callback: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(callback)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return callback(*args, **kwargs)
        except PTuningError as error:
            if os.environ.get(VARIABLE):
                raise
            fail(str(error))

    setattr(run, _WRAPPED, True)
    return run
