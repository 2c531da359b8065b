"""Spaces between the words of a file that records none: as they are written in running text.

In: words. Out: whether a space follows each. Chinese, Japanese, Thai, Lao, Burmese, Khmer and Tibetan are written
without, and what learns from text with a space after each word reads other pieces than those of a text as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

# Thai, Lao, Tibetan; Burmese; Khmer; CJK radicals, punctuation, kana, bopomofo, ideographs; full and half width forms
UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u3190-\u9fff\uf900-\ufaff\uff00-\uff9f\U00020000-\U0003ffff]"
)


def is_unspaced(words: Iterable[str]) -> bool:
    """Return whether most of the words that have letters are of a script without spaces."""
    found = [UNSPACED.search(word) is not None for word in words if any(char.isalpha() for char in word)]
    return 2 * sum(found) > len(found)


def spaces_between(words: Sequence[str]) -> list[bool]:
    """Return whether a space follows each word of a text that is written without them.

    Words of other scripts have spaces among each other. If all words are single characters, the file lists characters,
    and there are none.
    """
    if all(len(word) == 1 for word in words):
        return [False] * len(words)
    inside = [not UNSPACED.match(left[-1]) and not UNSPACED.match(right) for left, right in pairwise(words)]
    return [*inside, False]
