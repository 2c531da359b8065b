"""The reader of several corpora as one, for an adapter that is trained on all of them, with a head for each.

Entities of a corpus stand in a span group of its name, so that each head learns from the Docs of its corpus alone: a
Doc without the group says nothing about it. Batches mix corpora as the training loop shuffles them.
Source: Liu et al. 2021, section 3.3 ("Multi-task Learning"), https://arxiv.org/abs/2110.07602.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from spacy.language import Language
from spacy.tokens import SpanGroup
from spacy.training import Example
from spacy.training.corpus import create_docbin_reader


def build_multi_corpus_v1(
    paths: dict[str, str | Path | None],
    limit: int = 0,
    augmenter: Callable[[Language, Example], Iterator[Example]] | None = None,
) -> Callable[[Language], Iterable[Example]]:
    """Read examples with entities from several `.spacy` files.

    paths (dict[str, str | Path | None]): The file of each corpus, or a folder of files, by the corpus's name.
    limit (int): The largest number of examples of each corpus, 0 for all.
    augmenter (Callable | None): As of `spacy.Corpus.v1`.
    RETURNS (Callable[[Language], Iterable[Example]]): The reader. Gold Docs have their entities in
        `doc.spans[NAME]`, NAME being that of the corpus; `doc.ents` is not known.
    """

    def read(nlp: Language) -> Iterable[Example]:
        for name, path in paths.items():
            for example in create_docbin_reader(path, gold_preproc=False, limit=limit, augmenter=augmenter)(nlp):
                gold = example.reference
                gold.spans[name] = SpanGroup(gold, name=name, spans=list(gold.ents))
                gold.set_ents([], default="missing")
                yield example

    return read
