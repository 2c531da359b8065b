"""Reads a config to migrate as its file says it, and writes the result."""

from __future__ import annotations

from configparser import Error as ParserError
from pathlib import Path

from spacy.util import load_config_from_str
from thinc.config import Config

from ..errors import Errors, PTuningError

HEADING = "# Migrated by `spacy ptv2 migrate`: an adapter in a frozen transformer is trained.\n\n"


def read_config(path: Path) -> tuple[Config, int]:
    """Return a config, neither interpolated nor resolved, and the number of lines that are comments.

    RAISES (PTuningError): P765 if it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf8")
        config = load_config_from_str(text, interpolate=False)
    except (OSError, ValueError, ParserError) as error:
        raise PTuningError(Errors.P765.format(path=path, error=error)) from error
    return config, sum(line.lstrip().startswith(("#", ";")) for line in text.splitlines())


def to_text(config: Config) -> str:
    """Return the text of a migrated config, with its variables."""
    return HEADING + config.to_str(interpolate=False) + "\n"
