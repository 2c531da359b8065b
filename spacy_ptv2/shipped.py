"""Reads the shipped training configs, installed as the package `spacy_ptv2.configs`, which hold what trains well."""

from __future__ import annotations

from importlib.resources import files

from thinc.config import Config

from .errors import Errors, PTuningError

SUFFIX = ".cfg"


def shipped_text(task: str) -> str:
    """Return the text of a shipped config, comments included. RAISES (PTuningError): P412 if there is none."""
    folder = files("spacy_ptv2.configs")
    shipped = {file.name.removesuffix(SUFFIX): file for file in folder.iterdir() if file.name.endswith(SUFFIX)}
    if task not in shipped:
        raise PTuningError(Errors.P412.format(got=task, expected=", ".join(sorted(shipped))))
    return shipped[task].read_text(encoding="utf8")


def read_shipped(task: str) -> Config:
    """Return a shipped config, not interpolated. It is a copy of one's own. RAISES (PTuningError): As above."""
    return Config().from_str(shipped_text(task), interpolate=False)
