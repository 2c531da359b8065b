"""The reader that joins neighbouring Docs, so that a pipeline trained on sentences reads documents as well.

A model that has only seen sentences takes the start of a window for the start of a sentence, and its length for that of
one. Here some of the Docs stay as they are and runs of the others become one Doc each, of many lengths.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.training.corpus import create_docbin_reader

from ..errors import Errors, PTuningError


def build_joined_corpus_v1(
    path: str | Path | None,
    share: float = 0.5,
    words: int = 200,
    seed: int = 0,
    limit: int = 0,
    augmenter: Callable[[Language, Example], Iterator[Example]] | None = None,
) -> Callable[[Language], Iterable[Example]]:
    """Read examples from `.spacy` files as `spacy.Corpus.v1` does, and join some of them with their neighbours.

    path (str | Path | None): The file, or a folder of files, in the order of the texts they are from.
    share (float): How much of the text is read in joined Docs, from 0 for none of it to 1.
    words (int): The most tokens in a joined Doc. Each gets a random number of them, so that all lengths occur.
    seed (int): Of what is drawn. The same is drawn each time the corpus is read, so that a training can be resumed.
    limit (int): The largest number of examples before they are joined, 0 for all.
    augmenter (Callable | None): As of `spacy.Corpus.v1`; before they are joined.
    RETURNS (Callable[[Language], Iterable[Example]]): The reader. All annotations of Docs stay where they are.
    RAISES (PTuningError): P057 for a share that is none, or for less than two tokens.
    """
    if not 0 <= share <= 1 or words < 2:
        raise PTuningError(Errors.P057.format(share=share, words=words))
    corpus = create_docbin_reader(path, gold_preproc=False, limit=limit, augmenter=augmenter)

    def read(nlp: Language) -> Iterable[Example]:
        draw = random.Random(seed)
        for run in _cut_into_runs(corpus(nlp), lambda: draw.randint(1, words)):
            if draw.random() < share:
                yield _join(run)
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


def _join(run: Sequence[Example]) -> Example:
    """Return Docs as one, both what the pipeline gets and what is expected."""
    if len(run) == 1:
        return run[0]
    predicted, expected = (
        Doc.from_docs([getattr(example, side) for example in run], ensure_whitespace=True)
        for side in ("predicted", "reference")
    )
    return Example(predicted, expected)
