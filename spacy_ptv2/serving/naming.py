"""The pipelines of a command line: their names, and the pipelines themselves.

In: packages or folders, with a name of one's own before them where that is needed. Out: pipelines by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import spacy
from spacy.language import Language

from ..errors import Errors, PTuningError


def name_pipelines(arguments: Sequence[str]) -> dict[str, str]:
    """Return pipelines by their names: that before an equals sign, else the last part of the path.

    RAISES (PTuningError): P790 if two have the same name, P794 if there is nothing before or after the sign.
    """
    named: dict[str, str] = {}
    for argument in arguments:
        name, sign, pipeline = argument.partition("=")
        if not sign or Path(argument).exists():
            name, pipeline = Path(argument).resolve().name, argument
        name = name.strip()
        if not name or not pipeline:
            raise PTuningError(Errors.P794.format(got=argument))
        if name in named:
            raise PTuningError(Errors.P790.format(name=name, first=named[name], second=pipeline))
        named[name] = pipeline
    return named


def load_pipeline(pipeline: str) -> Language:
    """Load a package or a folder. RAISES (PTuningError): P792 if that fails."""
    try:
        return spacy.load(pipeline)
    except PTuningError:
        raise
    except Exception as error:  # a folder may lack anything
        raise PTuningError(Errors.P792.format(pipeline=pipeline, error=error)) from error
