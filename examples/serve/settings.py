"""What the service is told at its start: a JSON file with the backbone, the tasks, and the limits of a request.

In: the path in the environment variable `SPACY_PTV2_SERVICE`. Out: `Settings`. Clients can name tasks, never paths.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

VARIABLE = "SPACY_PTV2_SERVICE"


class Limits(BaseModel):
    """Of one request: its texts, the characters of each and of all, and its time. Of the process: requests at a time.

    tokenizer_work (int): Of all texts, the squared lengths of their stretches without white space, added up. spaCy's
    tokenizer cuts brackets and the like off the ends of a stretch one at a time and reads all that is left each time,
    0.2 microseconds a character, while nothing else in the process runs. seconds (float): For all of a request, from
    its headers to its answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    texts: PositiveInt = 64
    characters_per_text: PositiveInt = 20_000
    characters: PositiveInt = 100_000
    tokenizer_work: PositiveInt = 2_000_000
    requests: PositiveInt = 4
    seconds: PositiveFloat = 30.0

    @property
    def body_bytes(self) -> int:
        """Most bytes of a request: JSON may write a character in twelve, and each text has a task and its keys."""
        return 12 * self.characters + 1024 * self.texts


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
