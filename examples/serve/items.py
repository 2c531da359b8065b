"""What clients send: texts with tasks."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from spacy_ptv2.serving.limits import Text


class Item(BaseModel):
    """A text and the task that is to annotate it; null to have it tokenised alone."""

    model_config = ConfigDict(extra="forbid")

    text: Text
    task: str | None
