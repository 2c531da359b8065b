"""Frames of a Doc: predicates and their semantic roles, in two span groups that `DocBin` saves.

`doc.spans["predicates"]` has the predicates; the label of each, if it has one, is its lemma or its sense.
`doc.spans["roles"]` has the roles of all of them, as label (A0, ARGM-TMP, C-A1, R-A0 ...), with a confidence each under
`attrs["scores"]` where they are predicted. The `id_` of a role is the number of its predicate in the first group.
`doc._.frames` brings both together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from spacy.tokens import Doc, Span, SpanGroup

from .names import FRAMES, PREDICATES, ROLES, add_extension

SCORES = "scores"
VERB = "V"  # the label of a predicate among its roles


@dataclass(frozen=True)
class Frame:
    """A predicate and its roles.

    predicate (Span): The predicate.
    roles (tuple[Span, ...]): Its roles, in the order of the text; the label is the role.
    scores (tuple[float, ...]): A confidence of each, from 0 to 1; empty for gold roles.
    """

    predicate: Span
    roles: tuple[Span, ...]
    scores: tuple[float, ...] = ()

    @property
    def tags(self) -> list[str]:
        """The frame as IOB2 tags of the Doc's tokens, the predicate as V, as AllenNLP gives it."""
        tags = ["O"] * len(self.predicate.doc)
        for span, label in [*((role, role.label_) for role in self.roles), (self.predicate, VERB)]:
            tags[span.start : span.end] = [f"B-{label}", *[f"I-{label}"] * (len(span) - 1)]
        return tags


def frames_of(doc: Doc, predicates_key: str = PREDICATES, roles_key: str = ROLES) -> list[Frame]:
    """Return the frames of a Doc, one for each predicate, in the order of the group."""
    predicates = list(doc.spans.get(predicates_key, ()))
    group = doc.spans.get(roles_key, ())
    scores = group.attrs.get(SCORES, ()) if len(group) else ()
    has_scores = len(scores) == len(group)
    number = {doc.vocab.strings.add(str(place)): place for place in range(len(predicates))}
    found: list[list[tuple[Span, float]]] = [[] for _ in predicates]
    for place, role in enumerate(group):
        if role.id in number:
            found[number[role.id]].append((role, scores[place] if has_scores else 0.0))
    frames = []
    for predicate, own in zip(predicates, found, strict=True):
        own.sort(key=lambda pair: (pair[0].start, pair[0].end))
        kept = tuple(score for _, score in own) if has_scores else ()
        frames.append(Frame(predicate, tuple(role for role, _ in own), kept))
    return frames


def set_roles(
    doc: Doc,
    roles: Sequence[Iterable[tuple[int, int, str]]],
    scores: Sequence[Iterable[float]] | None = None,
    roles_key: str = ROLES,
) -> None:
    """Write the roles of each predicate of a Doc, replacing those that are there.

    roles (Sequence): For each predicate (start, end, label) of its roles, in tokens, end exclusive.
    scores (Sequence | None): A confidence of each; None for gold roles.
    """
    spans = [
        Span(doc, start, end, label=label, span_id=str(number))
        for number, own in enumerate(roles)
        for start, end, label in own
    ]
    attrs = {} if scores is None else {SCORES: [score for own in scores for score in own]}
    doc.spans[roles_key] = SpanGroup(doc, name=roles_key, attrs=attrs, spans=spans)


def to_allennlp(doc: Doc) -> dict[str, Any]:
    """Return the frames as JSON in the form that AllenNLP's role labeller gave.

    RETURNS (dict): {"words": [...], "verbs": [{"verb": ..., "description": ..., "tags": [...]}]}
    """
    words = [token.text for token in doc]
    verbs = [
        {"verb": frame.predicate.text, "description": _describe(words, frame), "tags": frame.tags}
        for frame in frames_of(doc)
    ]
    return {"words": words, "verbs": verbs}


def _describe(words: Sequence[str], frame: Frame) -> str:
    """Return a text with its frame in brackets, as "[A0: Kim] [V: reads]"."""
    parts: list[str] = []
    for word, tag in zip(words, frame.tags, strict=True):
        if tag.startswith("I-"):
            parts[-1] = f"{parts[-1][:-1]} {word}]"
        else:
            parts.append(word if tag == "O" else f"[{tag[2:]}: {word}]")
    return " ".join(parts)


add_extension(FRAMES, getter=frames_of)
