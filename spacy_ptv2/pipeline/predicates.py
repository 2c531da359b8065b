"""Functions that find the predicates of Docs, for `find_predicates` of `role_labeler`."""

from collections.abc import Callable

from spacy.tokens import Doc, Span


def build_pos_predicates_v1(pos: list[str] | None = None) -> Callable[[Doc], list[Span]]:
    """Build a function that takes the words of some parts of speech, as a tagger or morphologizer sets them.

    pos (list[str] | None): Coarse parts of speech (`token.pos_`); None for verbs.
    """
    wanted = frozenset(pos or ["VERB"])

    def find(doc: Doc) -> list[Span]:
        return [doc[token.i : token.i + 1] for token in doc if token.pos_ in wanted]

    return find
