"""What the service is told at its start: a JSON file with the backbone, the tasks, and the limits of a request.

In: the path in the environment variable `SPACY_PTV2_SERVICE`. Out: `Settings`. Clients can name tasks, never paths.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from spacy_ptv2.serving.limits import Limits

VARIABLE = "SPACY_PTV2_SERVICE"


class Settings(BaseModel):
    """backbone (str): A hub id or a folder. tasks (dict[str, str]): A package or a folder for each name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str
    tasks: dict[str, str] = Field(min_length=1)
    limits: Limits = Limits()


def read_settings() -> Settings:
    """Return what the file says.

    RAISES (SystemExit): If the variable is not set. RAISES (ValueError): If the file holds something else.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        raise SystemExit(f"Set {VARIABLE} to the path of a JSON file; examples/serve/README.md shows one.")
    return Settings.model_validate_json(Path(path).read_text(encoding="utf8"))
