"""The shape of a word, for backbones whose tokenizer drops case.

In: the text of a spaCy token. Out: one of `N_WORD_SHAPES` classes, cached per text.
"""

from __future__ import annotations

from functools import lru_cache

NONE = 0  # special pieces, padding
LOWER, UPPER, TITLE, MIXED, INITIAL, NUMBER, ALPHANUMERIC, OTHER = range(1, 9)
WORD_SHAPES = ("none", "lower", "upper", "title", "mixed", "initial", "number", "alphanumeric", "other")
N_WORD_SHAPES = len(WORD_SHAPES)
MARKED = 9  # instead of its shape: a piece of a span that a layout marks with a trained vector


@lru_cache(maxsize=1 << 17)
def word_shape_of(text: str) -> int:
    """Return the shape class of a word: "EU" UPPER, "Peter" TITLE, "McLaren" MIXED, "J." INITIAL, "1,200" NUMBER."""
    if text.isascii() and text.isalpha() and len(text) > 1:  # a fast path for most words
        return LOWER if text.islower() else UPPER if text.isupper() else TITLE if text.istitle() else MIXED
    letters = [char for char in text if char.isalpha()]
    has_digit = any(char.isdigit() for char in text)
    if not letters:
        return NUMBER if has_digit else OTHER
    if has_digit:
        return ALPHANUMERIC
    if len(letters) == 1:
        return INITIAL if letters[0].isupper() else LOWER
    if not any(char.isupper() for char in letters):
        return LOWER
    if all(char.isupper() for char in letters):
        return UPPER
    return TITLE if letters[0].isupper() and not any(char.isupper() for char in letters[1:]) else MIXED
