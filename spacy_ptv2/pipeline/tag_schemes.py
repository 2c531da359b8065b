"""Entity tags as a sequence labelling problem: IOB2 and BILUO, which tags may follow which, and decoding.

In: log probabilities. Out: the most probable of the valid sequences of tags, so that the result is never invalid.
Source: Ratinov and Roth 2009 (BILUO), https://aclanthology.org/W09-1119.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import Errors, PTuningError
from .decoding import decode_documents, find_faults

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

        RAISES (KeyError): With the label, if it is not in `labels`.
        """
        return [None if tag is None or tag == "-" else self._encode_one(tag) for tag in biluo]

    def encode_words(self, biluo: Sequence[str | None], is_space: Sequence[bool]) -> list[int | None]:
        """Return what `encode` does, with None for whitespace tokens: entities are tagged as if these did not exist."""
        return self.encode(_tags_of_words(biluo, is_space) if any(is_space) else biluo)

    def _encode_one(self, tag: str) -> int:
        if self.scheme == "iob2":
            tag = {"L": "I", "U": "B"}.get(tag[0], tag[0]) + tag[1:]
        if tag not in self.tag_ids:
            raise KeyError(tag.partition("-")[2] or tag)
        return self.tag_ids[tag]

    @cached_property
    def allowed(self) -> NDArray[np.bool_]:
        """Whether the column's tag may follow the row's. Shape: (n_tags, n_tags)"""
        return np.array([[self._may_follow(a, b) for b in self.tags] for a in self.tags])

    @cached_property
    def begins(self) -> NDArray[np.bool_]:
        """Which tags begin an entity. Shape: (n_tags,)"""
        return np.array([tag[0] in "BU" for tag in self.tags])

    def _may_follow(self, before: str, after: str) -> bool:
        inside = after[0] in "IL"
        if self.scheme == "iob2":
            return not inside or (before != OUTSIDE and before[1:] == after[1:])
        is_open = before[0] in "BI"
        return (before[1:] == after[1:] and inside) if is_open else not inside

    def decode(self, log_probabilities: Floats2d, lengths: Sequence[int] | None = None) -> Ints1d:
        """Return the most probable valid sequence of tags, of one document or of several, one after the other.

        log_probabilities (Floats2d): Shape: (n_tokens, n_tags)
        lengths (Sequence[int] | None): Tokens of each document; None for a single document.
        RETURNS (Ints1d): Shape: (n_tokens,)
        """
        bounds = np.cumsum([0, *([len(log_probabilities)] if lengths is None else lengths)])
        return decode_documents(log_probabilities, bounds, self.allowed, self.tag_ids[OUTSIDE])

    def is_valid(self, tags: Ints1d) -> bool:
        """Return whether a sequence of tag indices is valid."""
        outside = [self.tag_ids[OUTSIDE]]
        return not len(find_faults(np.concatenate([outside, tags, outside]).astype(np.int64), self.allowed))

    def entities(self, tags: Ints1d) -> list[tuple[int, int, str]]:
        """Return (start, end, label) of the entities in one valid sequence, or in several in a row; end exclusive.

        In a valid sequence, every tag other than "O" belongs to the last entity that began.
        """
        inside = np.flatnonzero(tags != self.tag_ids[OUTSIDE])
        first = np.flatnonzero(self.begins[tags[inside]])
        starts = inside[first]
        ends = starts + np.diff(np.append(first, len(inside)))
        labels = [self.tags[tag].partition("-")[2] for tag in tags[starts]]
        return list(zip(starts.tolist(), ends.tolist(), labels, strict=True))


def _tags_of_words(biluo: Sequence[str | None], is_space: Sequence[bool]) -> list[str | None]:
    """Return BILUO tags in which every entity begins and ends with a word, and None for whitespace tokens."""
    tags = [None if space else tag for tag, space in zip(biluo, is_space, strict=True)]
    words: list[int] = []
    for place, tag in enumerate(biluo):
        if tag is None or tag[0] not in "BILU":
            continue
        words = [] if tag[0] in "BU" else words
        if not is_space[place]:
            words.append(place)
        if tag[0] in "LU" and words:
            label = tag[1:]
            for word, prefix in zip(words, biluo_prefixes(len(words)), strict=True):
                tags[word] = prefix + label
    return tags


def biluo_prefixes(n_words: int) -> list[str]:
    """Return the prefixes of the BILUO tags of an entity's words."""
    return ["U"] if n_words == 1 else ["B", *"I" * (n_words - 2), "L"]
