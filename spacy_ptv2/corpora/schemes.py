"""Tag schemes: how a column of tags such as `B-PER` encodes entities.

In: the tags of a file's sentences. Out: entities, and the scheme, which is detected for the file as a whole. One rule
reads all schemes, because no letter means two things: B, S, U and W begin an entity, E, L, S, U and W end it, I and M
continue it. Schemes are told apart by the letters that they have and by where they write them.
Sources: IOB1, IOB2, IOE1, IOE2: Tjong Kim Sang and Veenstra 1999, https://aclanthology.org/E99-1023; BILUO (BILOU):
Ratinov and Roth 2009, https://aclanthology.org/W09-1119; BIOES is the same with E and S. BMEWO and BMEWO+: Borthwick
1999 and LingPipe, https://lingpipe-blog.com/2009/10/14/coding-chunkers-as-taggers-io-bio-bmewo-and-bmewo/.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from ..errors import CorpusError, Errors, Warnings
from .documents import Entity
from .text import shorten

NAMELESS = "ENTITY"  # the label if tags are letters alone, as in BioBERT's corpora with one type
BEGINS, ENDS = frozenset("BSUW"), frozenset("ELSUW")
OUTSIDE = "O"
LETTERS = frozenset("BIELSUWMO")
PREFIXED = re.compile(r"([BIELSUWM])[-_](\S.*)")
SUFFIXED = re.compile(r".+[-_][BIELSUWM]")  # PER-B is not a label
CONTEXT_OUTSIDE = re.compile(r"(\S+_)?O(_\S+)?")  # BMEWO+ writes what is next to an O: O_PER, PER_O, BOS_O, O_EOS

Shape = tuple[str, bool, bool]  # the letters of an entity, whether another ends just before it, or begins just after
Place = Callable[[int, int], str]  # (sentence, token) to "path:line"


@dataclass(frozen=True)
class Scheme:
    """The letters that a scheme writes.

    single, first, middle, last (str): For an entity of one token, and for the tokens of a longer one.
    after (str): The first letter of an entity just after another one, if that differs.
    before (str): The last letter of an entity just before another one, if that differs.
    """

    name: str
    single: str
    first: str
    middle: str
    last: str
    after: str = ""
    before: str = ""

    @property
    def letters(self) -> frozenset[str]:
        """All letters that the scheme may write before a label."""
        return frozenset((self.single, self.first, self.middle, self.last, self.after, self.before)) - {""}

    def wrote(self, shape: Shape) -> bool:
        """Return whether the scheme would write an entity in this way."""
        letters, touched_before, touched_after = shape
        expected = self.single if len(letters) == 1 else self.first + self.middle * (len(letters) - 2) + self.last
        if self.after and touched_before and letters[0] == self.after:
            expected = self.after + expected[1:]
        if self.before and touched_after and letters[-1] == self.before:
            expected = expected[:-1] + self.before
        return letters == expected

    def count_faults(self, shapes: Counter[Shape]) -> tuple[int, int]:
        """Return how many entities the scheme would write differently, and how many have a letter that it lacks."""
        wrong = {shape: count for shape, count in shapes.items() if not self.wrote(shape)}
        return sum(wrong.values()), sum(count for shape, count in wrong.items() if set(shape[0]) - self.letters)


# In order of preference if several could have written a file.
LETTERED = (
    Scheme("IOB2", "B", "B", "I", "I"),
    Scheme("IOB1", "I", "I", "I", "I", after="B"),
    Scheme("IOE2", "E", "I", "I", "E"),
    Scheme("IOE1", "I", "I", "I", "I", before="E"),
    Scheme("BIOES", "S", "B", "I", "E"),
    Scheme("BILUO", "U", "B", "I", "L"),
    Scheme("BMEWO", "W", "B", "M", "E"),
    Scheme("BMES", "S", "B", "M", "E"),
)
BARE = Scheme("IO", "I", "I", "I", "I")  # labels without letters, as Stanford NER and Few-NERD write them
SCHEMES = {scheme.name: scheme for scheme in (*LETTERED, BARE)}
ALIASES = {
    "BIO": "IOB2", "BIO2": "IOB2", "IOBES": "BIOES", "BILOU": "BILUO", "BIOLU": "BILUO", "BIOUL": "BILUO",
    "BMEWO+": "BMEWO", "BMESO": "BMES", "BMEOS": "BMES",
}  # fmt: skip


def find_scheme(name: str) -> Scheme:
    """Return the scheme with this name, ignoring case.

    RAISES (CorpusError): P008.
    """
    upper = name.upper()
    if ALIASES.get(upper, upper) not in SCHEMES:
        raise CorpusError(Errors.P008.format(got=name, expected=", ".join((*SCHEMES, *ALIASES))))
    return SCHEMES[ALIASES.get(upper, upper)]


def is_tag(text: str) -> bool:
    """Return whether a text is a tag of any scheme with letters."""
    return text == OUTSIDE or PREFIXED.fullmatch(text) is not None


def read_tags(
    sentences: Sequence[Sequence[str]], path: Path, place: Place, forced: Scheme | None = None
) -> tuple[list[list[Entity]], Scheme | None]:
    """Read the tags of a file.

    sentences (Sequence[Sequence[str]]): One tag per token.
    path (Path): The file, for warnings.
    place (Callable[[int, int], str]): Returns file and line of a token, for messages.
    forced (Scheme | None): The scheme; None to detect it.
    RETURNS (tuple[list[list[Entity]], Scheme | None]): Entities per sentence, and the scheme; None if all tags are O.
    RAISES (CorpusError): P002 for a tag that the scheme does not have.
    """
    tags = set(chain.from_iterable(sentences))
    if tags > {OUTSIDE} and all(tag in LETTERS for tag in tags):
        sentences = [[tag if tag == OUTSIDE else f"{tag}-{NAMELESS}" for tag in row] for row in sentences]
        tags = set(chain.from_iterable(sentences))
    shapes = Counter(shape for _, shape in _find_shapes(*_read_loosely(sentences, tags)))
    scheme = forced or min(LETTERED, key=lambda scheme: scheme.count_faults(shapes))
    parsed = {tag: _parse(tag, scheme) for tag in tags}
    known = {tag: found for tag, found in parsed.items() if found is not None}
    if len(known) < len(tags):
        _refuse(tags - set(known), sentences, place, scheme)
    rows = [[known[tag] for tag in tags] for tags in sentences]
    entities = [_decode(row) for row in rows]
    if not any(entities):
        return entities, forced
    if any(not scheme.wrote(shape) for shape in shapes) and scheme is not BARE:
        _warn(scheme, _find_shapes(rows, entities), sentences, path, place, is_forced=forced is not None)
    return entities, scheme


def _read_loosely(
    sentences: Sequence[Sequence[str]], tags: set[str]
) -> tuple[list[list[tuple[str, str]]], list[list[Entity]]]:
    """Read all that is a tag in any scheme. Letters mean the same in all, so entities are found before the scheme."""
    matches = {tag: PREFIXED.fullmatch(tag) for tag in tags}
    parsed = {tag: (match[1], match[2]) if match else (OUTSIDE, "") for tag, match in matches.items()}
    rows = [[parsed[tag] for tag in tags] for tags in sentences]
    return rows, [_decode(row) for row in rows]


def _parse(tag: str, scheme: Scheme) -> tuple[str, str] | None:
    """Return the letter and the label of a tag, or None if the scheme does not have it."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    match = PREFIXED.fullmatch(tag)
    if match and match[1] in scheme.letters:
        return match[1], match[2]
    if scheme is BARE and tag and not match and not SUFFIXED.fullmatch(tag):
        return "I", tag
    if scheme.name == "BMEWO" and CONTEXT_OUTSIDE.fullmatch(tag):
        return OUTSIDE, ""
    return None


def _decode(tags: Iterable[tuple[str, str]]) -> list[Entity]:
    entities: list[Entity] = []
    is_open = False
    for i, (letter, label) in enumerate(tags):
        if letter == OUTSIDE:
            is_open = False
            continue
        if is_open and letter not in BEGINS and entities[-1][2] == label:
            entities[-1] = (entities[-1][0], i + 1, label)
        else:
            entities.append((i, i + 1, label))
        is_open = letter not in ENDS
    return entities


def _find_shapes(
    rows: list[list[tuple[str, str]]], entities: list[list[Entity]]
) -> list[tuple[tuple[int, int], Shape]]:
    """Return the place of each entity, as (sentence, token), and its shape."""
    shapes = []
    for number, found in enumerate(entities):
        for i, (start, end, _) in enumerate(found):
            letters = "".join([letter for letter, _ in rows[number][start:end]])
            touched_before = i > 0 and found[i - 1][1] == start
            touched_after = i + 1 < len(found) and found[i + 1][0] == end
            shapes.append(((number, start), (letters, touched_before, touched_after)))
    return shapes


def _refuse(unknown: set[str], sentences: Sequence[Sequence[str]], place: Place, scheme: Scheme) -> None:
    number, i, tag = next(
        (number, i, tag) for number, tags in enumerate(sentences) for i, tag in enumerate(tags) if tag in unknown
    )
    letters = ", ".join(f"{letter}-LABEL" for letter in sorted(scheme.letters))
    expected = "O and labels alone" if scheme is BARE else f"O and {letters}"
    message = Errors.P002.format(place=place(number, i), tag=shorten(tag), scheme=scheme.name, expected=expected)
    raise CorpusError(message)


def _warn(
    scheme: Scheme,
    shapes: list[tuple[tuple[int, int], Shape]],
    sentences: Sequence[Sequence[str]],
    path: Path,
    place: Place,
    *,
    is_forced: bool,
) -> None:
    def faults(name: str) -> list[tuple[int, int]]:
        return [where for where, shape in shapes if not SCHEMES[name].wrote(shape)]

    if scheme.name in ("IOB1", "IOB2") and not is_forced:
        iob1, iob2 = (place(*faults(name)[0]) for name in ("IOB2", "IOB1"))
        message = Warnings.PW01.format(path=path, iob1_place=iob1, iob2_place=iob2)
    else:
        found = faults(scheme.name)
        number, i = found[0]
        tag = shorten(sentences[number][i])
        message = Warnings.PW20.format(path=path, n=len(found), scheme=scheme.name, place=place(number, i), tag=tag)
    warnings.warn(message, stacklevel=2)
