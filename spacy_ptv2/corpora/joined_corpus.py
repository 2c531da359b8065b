"""The reader that cuts running text anew, so that a pipeline trained on sentences reads documents as well.

A model that has only seen sentences takes the start of a window for the start of a sentence, and its length for that of
one. Here some of the Docs stay as they are. The others are joined with their neighbours and cut again, at random
places, but through no annotation.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.training.corpus import create_docbin_reader

from ..errors import Errors, PTuningError

RUN = 5  # times as many tokens as a part has are joined at most, before they are cut


def build_joined_corpus_v1(
    path: str | Path | None,
    share: float = 0.5,
    words: int = 80,
    seed: int = 0,
    passes: int = 1,
    limit: int = 0,
    augmenter: Callable[[Language, Example], Iterator[Example]] | None = None,
) -> Callable[[Language], Iterable[Example]]:
    """Read examples from `.spacy` files as `spacy.Corpus.v1` does, and cut some of the text anew.

    path (str | Path | None): The file, or a folder of files, in the order of the texts they are from.
    share (float): How much of the text is joined and cut anew, from 0 for none of it to 1.
    words (int): The most tokens in a part, unless an annotation is longer. Each gets a random number, so that all
        lengths occur.
    seed (int): Of what is drawn. The same is drawn each time the corpus is read, so that a training can be resumed.
    passes (int): How often the text is read, each time with something else drawn. An epoch is all of them, in memory.
    limit (int): The largest number of examples before they are joined, 0 for all.
    augmenter (Callable | None): As of `spacy.Corpus.v1`; before they are joined.
    RETURNS (Callable[[Language], Iterable[Example]]): The reader. No text is lost; entities, spans and trees stay
        whole.
    RAISES (PTuningError): P057 for a share that is none, less than two tokens, or no pass.
    """
    if not 0 <= share <= 1 or words < 2 or passes < 1:
        raise PTuningError(Errors.P057.format(share=share, words=words, passes=passes))
    corpus = create_docbin_reader(path, gold_preproc=False, limit=limit, augmenter=augmenter)

    def read(nlp: Language) -> Iterable[Example]:
        draw = random.Random(seed)
        for _ in range(passes):
            for run in _cut_into_runs(corpus(nlp), lambda: draw.randint(1, RUN * words)):
                if draw.random() < share:
                    yield from _cut_anew(run, lambda: draw.randint(1, words))
                else:
                    yield from run

    return read


def _cut_into_runs(examples: Iterable[Example], draw_length: Callable[[], int]) -> Iterator[list[Example]]:
    """Yield neighbours, each time as many as have no more tokens than were drawn, but at least one."""
    run: list[Example] = []
    n_left = draw_length()
    for example in examples:
        n_left -= len(example.reference)
        if run and n_left < 0:
            yield run
            run, n_left = [], draw_length() - len(example.reference)
        run.append(example)
    if run:
        yield run


def _cut_anew(run: Sequence[Example], draw_length: Callable[[], int]) -> Iterator[Example]:
    """Yield parts of joined Docs, cut both in what the pipeline gets and in what is expected."""
    predicted, expected = (
        Doc.from_docs([getattr(example, side) for example in run], ensure_whitespace=True)
        for side in ("predicted", "reference")
    )
    if predicted.text != expected.text:  # of a word that ends in a line break, on one side alone
        yield from run
        return
    for token in predicted:  # else joining leaves what is to be predicted: where each Doc begins
        token.is_sent_start = None
    begins = {token.idx: token.i for token in predicted}
    is_whole = _between_annotations(expected)
    start, end = 0, draw_length()
    for place in range(1, len(expected) + 1):
        at_end = place == len(expected)
        if at_end or (place >= end and is_whole[place] and expected[place].idx in begins):
            own = begins[expected[start].idx], len(predicted) if at_end else begins[expected[place].idx]
            yield Example(_part(predicted, *own), _part(expected, start, place))
            start, end = place, place + draw_length()


def _between_annotations(doc: Doc) -> list[bool]:
    """Return for each token whether no entity, span or arc of a tree goes from before it to it or beyond it."""
    crossing = np.zeros(len(doc) + 1, dtype=np.int64)
    ranges = [(span.start, span.end) for group in (doc.ents, *doc.spans.values()) for span in group]
    if doc.has_annotation("DEP"):
        ranges += [(min(token.i, token.head.i), max(token.i, token.head.i) + 1) for token in doc]
    for start, end in ranges:
        crossing[start + 1 : end] += 1
    return [n == 0 for n in crossing.tolist()]


def _part(doc: Doc, start: int, end: int) -> Doc:
    """Return a part of a Doc with all its annotations."""
    part = doc[start:end].as_doc()
    for key, group in doc.spans.items():
        part.spans[key] = [
            Span(part, s.start - start, s.end - start, s.label, kb_id=s.kb_id, span_id=s.id)
            for s in group
            if start <= s.start and s.end <= end
        ]
    return part
