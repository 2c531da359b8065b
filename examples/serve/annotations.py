"""What clients send and get: texts with tasks, and entities with confidences and tags as plain JSON values."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict
from spacy.tokens import Doc, Span


def _writable(text: str) -> str:
    """RAISES (ValueError): If half a surrogate pair is in the text, which JSON can spell and spaCy cannot store."""
    text.encode("utf8")
    return text


class Item(BaseModel):
    """A text and the task that is to annotate it."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, AfterValidator(_writable)]
    task: str


def to_json(doc: Doc, task: str) -> dict[str, Any]:
    """Return what a task found. Offsets are in characters; tags are there if any token has one."""
    scored = [
        (span, float(score))
        for group in doc.spans.values()
        for span, score in zip(group, group.attrs.get("scores", []), strict=False)
    ]
    known = {(span.start, span.end, span.label) for span, _ in scored}
    others = [(ent, None) for ent in doc.ents if (ent.start, ent.end, ent.label) not in known]
    found = sorted([*scored, *others], key=lambda pair: (pair[0].start, pair[0].end, pair[0].label_))
    tags = [{"start": token.idx, "end": token.idx + len(token), "tag": token.tag_} for token in doc if token.tag_]
    answer = {"task": task, "entities": [_entity(span, confidence) for span, confidence in found]}
    return {**answer, "tags": tags} if tags else answer


def _entity(span: Span, confidence: float | None) -> dict[str, Any]:
    return {
        "start": span.start_char,
        "end": span.end_char,
        "text": span.text,
        "label": span.label_,
        "confidence": confidence,
    }
