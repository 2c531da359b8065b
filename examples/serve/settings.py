"""What the service is told at its start: a JSON file with the backbone, the tasks, and limits.

In: the path in the environment variable `SPACY_PTV2_SERVICE`. Out: `Settings`. Clients can name tasks, never paths.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from spacy_ptv2.serving.gathering import BATCH_SIZE, WAIT_MS
from spacy_ptv2.serving.limits import Limits

VARIABLE = "SPACY_PTV2_SERVICE"


class Gathering(BaseModel):
    """Requests that run at the same time share batches. wait_ms, batch_size: As of `RequestQueue`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    wait_ms: NonNegativeFloat = WAIT_MS
    batch_size: PositiveInt = BATCH_SIZE


class Settings(BaseModel):
    """backbone (str): A hub id or a folder. tasks (dict[str, str]): A package or a folder for each name.

    store (str | None), limit_mb (float | None): As of `AdapterBank`.
    gathering (Gathering | None): Whether requests share batches; None to annotate each by itself.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str
    tasks: dict[str, str] = {}
    store: str | None = None
    limit_mb: PositiveFloat | None = None
    gathering: Gathering | None = None
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _has_tasks(self) -> Settings:
        """RAISES (ValueError): If there is neither a task nor a store."""
        if not self.tasks and self.store is None:
            raise ValueError("expected tasks, or a store of them")
        return self


def read_settings() -> Settings:
    """Return what the file says.

    RAISES (SystemExit): If the variable is not set. RAISES (ValueError): If the file holds something else.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        raise SystemExit(f"Set {VARIABLE} to the path of a JSON file; examples/serve/README.md shows one.")
    return Settings.model_validate_json(Path(path).read_text(encoding="utf8"))
