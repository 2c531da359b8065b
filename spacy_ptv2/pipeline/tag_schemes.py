"""Entity tags as a sequence labelling problem: IOB2 and BILUO, which tags may follow which, and decoding.

In: logits. Out: the most probable sequence of tags among the valid ones, so an invalid one cannot come out.
Source: Ratinov and Roth 2009 (BILUO), https://aclanthology.org/W09-1119; Viterbi 1967.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import Errors, PTuningError

Scheme = Literal["iob2", "biluo"]
SCHEMES: tuple[Scheme, ...] = ("iob2", "biluo")
PREFIXES = {"iob2": "BI", "biluo": "BILU"}
OUTSIDE = "O"

Floats2d = NDArray[np.float32]
Ints1d = NDArray[np.int64]


@dataclass(frozen=True)
class TagScheme:
    """The tags of a set of entity labels. scheme ("iob2" | "biluo"), labels (tuple[str, ...])."""

    scheme: Scheme
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise PTuningError(Errors.P403.format(expected=" or ".join(SCHEMES), got=self.scheme))

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """All tags, "O" first."""
        return (OUTSIDE, *(f"{prefix}-{label}" for label in self.labels for prefix in PREFIXES[self.scheme]))

    @cached_property
    def tag_ids(self) -> dict[str, int]:
        """The index of each tag."""
        return {tag: index for index, tag in enumerate(self.tags)}

    def encode(self, biluo: Sequence[str | None]) -> list[int | None]:
        """Return tag indices of BILUO tags as spaCy aligns them; None where the gold annotation is unknown.

        RAISES (KeyError): With the label, if it is none of `labels`.
        """
        return [None if tag is None or tag == "-" else self._encode_one(tag) for tag in biluo]

    def _encode_one(self, tag: str) -> int:
        if self.scheme == "iob2":
            tag = {"L": "I", "U": "B"}.get(tag[0], tag[0]) + tag[1:]
        if tag not in self.tag_ids:
            raise KeyError(tag.partition("-")[2] or tag)
        return self.tag_ids[tag]

    @cached_property
    def allowed(self) -> NDArray[np.bool_]:
        """Which tag may follow which. Shape: (n_tags, n_tags), from the row's tag to the column's."""
        return np.array([[self._may_follow(a, b) for b in self.tags] for a in self.tags])

    @cached_property
    def may_start(self) -> NDArray[np.bool_]:
        """Which tags may begin a sequence. Shape: (n_tags,)"""
        starts: NDArray[np.bool_] = self.allowed[self.tag_ids[OUTSIDE]]
        return starts

    @cached_property
    def may_end(self) -> NDArray[np.bool_]:
        """Which tags may end a sequence. Shape: (n_tags,)"""
        ends: NDArray[np.bool_] = self.allowed[:, self.tag_ids[OUTSIDE]]
        return ends

    def _may_follow(self, before: str, after: str) -> bool:
        inside = after[0] in "IL"
        if self.scheme == "iob2":
            return not inside or (before != OUTSIDE and before[1:] == after[1:])
        is_open = before[0] in "BI"
        return (before[1:] == after[1:] and inside) if is_open else not inside

    def decode(self, log_probabilities: Floats2d) -> Ints1d:
        """Return the most probable valid sequence of tags.

        log_probabilities (Floats2d): Shape: (n_tokens, n_tags). RETURNS (Ints1d): Shape: (n_tokens,)
        """
        best: Ints1d = log_probabilities.argmax(axis=1)
        # If the best tags on their own happen to be valid, nothing valid can be better.
        return best if self.is_valid(best) else self._viterbi(log_probabilities)

    def is_valid(self, tags: Ints1d) -> bool:
        """Return whether a sequence of tag indices is a valid one."""
        if len(tags) == 0:
            return True
        steps = self.allowed[tags[:-1], tags[1:]]
        return bool(self.may_start[tags[0]] and steps.all() and self.may_end[tags[-1]])

    def _viterbi(self, scores: Floats2d) -> Ints1d:
        n_tokens, n_tags = scores.shape
        forbidden = np.where(self.allowed, 0.0, -np.inf)
        best = scores[0] + np.where(self.may_start, 0.0, -np.inf)
        came_from = np.zeros((n_tokens, n_tags), dtype=np.int64)
        for i in range(1, n_tokens):
            paths = best[:, None] + forbidden
            came_from[i] = paths.argmax(axis=0)
            best = paths.max(axis=0) + scores[i]
        tags = np.zeros(n_tokens, dtype=np.int64)
        tags[-1] = (best + np.where(self.may_end, 0.0, -np.inf)).argmax()
        for i in range(n_tokens - 1, 0, -1):
            tags[i - 1] = came_from[i, tags[i]]
        return tags

    def entities(self, tags: Ints1d) -> list[tuple[int, int, str]]:
        """Return (start, end, label) of the entities in a valid sequence, end exclusive."""
        found: list[tuple[int, int, str]] = []
        for i, tag in enumerate(tags):
            if tag == 0:
                continue
            prefix, _, label = self.tags[tag].partition("-")
            if prefix in "BU":
                found.append((i, i + 1, label))
            else:
                found[-1] = (found[-1][0], i + 1, label)
        return found
