"""The annotations of a Doc as plain JSON values, for services and their clients.

In: a Doc. Out: entities and other spans with confidences; tags, frames, classes, answers and a choice where there are
any. Offsets are in characters, ends are exclusive.
"""

from __future__ import annotations

from typing import Any

from spacy.tokens import Doc, Span, Token

from ..annotations.answers import answers_of
from ..annotations.names import CHOICE, CHOICE_SCORES, NO_ANSWER, PREDICATES, ROLES, attribute_of
from ..annotations.roles import SCORES, frames_of

Json = dict[str, Any]


def to_json(doc: Doc, task: str | None) -> Json:
    """Return what a task found: always its entities, and of everything else what the Doc has."""
    others = {
        "tags": [_tag(token, names) for token in doc] if (names := _tagged(doc)) else [],
        "frames": _frames(doc),
        "classes": dict(doc.cats),
        "answers": answers_of(doc),
        "no_answer": list(attribute_of(doc, NO_ANSWER) or ()),
        "choice": attribute_of(doc, CHOICE),
        "choice_scores": list(attribute_of(doc, CHOICE_SCORES) or ()),
    }
    found = {name: value for name, value in others.items() if value not in ([], {}, None)}
    return {"task": task, "entities": _entities(doc), **found}


def _entities(doc: Doc) -> list[Json]:
    """Return the spans of all groups but those of frames, and the entities that are in no group with confidences."""
    groups = [group for key, group in doc.spans.items() if key not in (PREDICATES, ROLES)]
    scored = [
        (span, float(score))
        for group in groups
        for span, score in zip(group, group.attrs.get(SCORES, []), strict=False)
    ]
    known = {(span.start, span.end, span.label) for span, _ in scored}
    others = [(ent, None) for ent in doc.ents if (ent.start, ent.end, ent.label) not in known]
    found = sorted([*scored, *others], key=lambda pair: (pair[0].start, pair[0].end, pair[0].label_))
    return [_span(span, confidence) for span, confidence in found]


def _frames(doc: Doc) -> list[Json]:
    scores = doc.spans[PREDICATES].attrs.get(SCORES, []) if PREDICATES in doc.spans else []
    frames = []
    for number, frame in enumerate(frames_of(doc)):
        confidence = float(scores[number]) if number < len(scores) else None
        confidences = frame.scores or [None] * len(frame.roles)
        roles = [_span(role, score) for role, score in zip(frame.roles, confidences, strict=True)]
        frames.append({"predicate": _span(frame.predicate, confidence), "roles": roles})
    return frames


def _span(span: Span, confidence: float | None) -> Json:
    return {
        "start": span.start_char,
        "end": span.end_char,
        "text": span.text,
        "label": span.label_,
        "confidence": confidence,
    }


def _tagged(doc: Doc) -> list[str]:
    """Return which annotations of tokens a Doc has, by the names of their JSON values."""
    return [name for name in ("tag", "pos", "morph", "lemma", "dep") if doc.has_annotation(name.upper())]


def _tag(token: Token, names: list[str]) -> Json:
    """Return the annotations of a token. The head is a place, that of its first character."""
    values = {name: str(token.morph) if name == "morph" else getattr(token, f"{name}_") for name in names}
    head = {"head": token.head.idx} if "dep" in names else {}
    return {"start": token.idx, "end": token.idx + len(token), **values, **head}
