"""One or several pipelines, loaded once per process, which annotate the same documents.

In: texts, or Docs that are asked something. Out: for each, a Doc of every pipeline, or why there is none. Pipelines
over the same backbone share its passes; a document that makes a pipeline fail does not take the others with it.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache

from spacy.language import Language
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..corpora.text import shorten
from ..kernels.rounding import make_rounding_reproducible
from ..packaging.summary import trained_adapters
from ..serving import AdapterBank
from ..serving.naming import load_pipeline
from .doc_bins import as_asked

Found = dict[str, Doc]
Run = Callable[[Sequence[str | Doc]], Iterator[tuple[int, str, Doc]]]
DROPPED = "the pipeline's own error handler dropped it"
log = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def load_once(named: tuple[tuple[str, str], ...], gpu_id: int, share: int) -> Pipelines:
    """Return pipelines, the same ones each time that a process asks for them.

    named (tuple): Names and pipelines. gpu_id (int): -1 for the CPU. share (int): How many processes share its cores.
    RAISES (PTuningError): P792 if one cannot be loaded.
    """
    import torch
    from thinc.api import require_gpu

    make_rounding_reproducible()
    if gpu_id >= 0:
        require_gpu(gpu_id)
    torch.set_num_threads(max(1, torch.get_num_threads() // share))
    return Pipelines(dict(named))


class Pipelines:
    """Pipelines by the names of their tasks. named (Mapping[str, str]): Packages or folders."""

    def __init__(self, named: Mapping[str, str]) -> None:
        loaded = {name: load_pipeline(pipeline) for name, pipeline in named.items()}
        self.names = tuple(named)
        self.batch_size = min(nlp.batch_size for nlp in loaded.values())
        self.max_length = min(nlp.max_length for nlp in loaded.values())
        groups: dict[object, dict[str, Language]] = defaultdict(dict)
        for name, nlp in loaded.items():
            backbones = {id(shim.backbone) for shim in trained_adapters(nlp)}
            groups[backbones.pop() if len(backbones) == 1 else name][name] = nlp
        self._runs = [_alone(*group.popitem()) if len(group) == 1 else _jointly(group) for group in groups.values()]

    def annotate(self, asked: Sequence[str | Doc]) -> list[Found | str]:
        """Annotate documents as one batch. RETURNS (list): For each its Docs by task, or why there are none.

        An error that every document alone leads to, too, is raised.
        """
        try:
            return self._together(asked)
        except Exception as error:  # of any component, for any reason that lies in a document
            if len(asked) == 1:
                log.debug("A pipeline failed", exc_info=True)
                return [f"a pipeline failed: {type(error).__name__}: {shorten(error)}"]
            found = [own for one in asked for own in self.annotate([one])]
            if all(isinstance(own, str) for own in found):
                raise
            return found

    def _together(self, asked: Sequence[str | Doc]) -> list[Found | str]:
        docs: list[Found] = [{} for _ in asked]
        short = [place for place, text in enumerate(asked) if _n_characters(text) <= self.max_length]
        for run in self._runs:
            for number, name, doc in run([asked[place] for place in short]):
                docs[short[number]][name] = doc
        short_ones = set(short)
        too_long = f"expected a text of at most {self.max_length:,} characters (nlp.max_length)"
        return [
            (too_long if place not in short_ones else DROPPED) if len(own) < len(self.names) else own
            for place, own in enumerate(docs)
        ]


def _alone(name: str, nlp: Language) -> Run:
    def run(asked: Sequence[str | Doc]) -> Iterator[tuple[int, str, Doc]]:
        docs = ((_in_vocab(one, nlp.vocab), number) for number, one in enumerate(asked))
        for doc, number in nlp.pipe(docs, as_tuples=True, batch_size=max(1, len(asked))):
            yield number, name, doc

    return run


def _jointly(group: Mapping[str, Language]) -> Run:
    shims = [shim for nlp in group.values() for shim in trained_adapters(nlp)]
    bank = AdapterBank(shims[0].backbone.source)
    for name, nlp in group.items():
        bank.load(name, nlp)
    vocabs = {name: bank.vocab(name) for name in group}

    def run(asked: Sequence[str | Doc]) -> Iterator[tuple[int, str, Doc]]:
        stream = (
            ((_in_vocab(one, vocab), name), (number, name))
            for number, one in enumerate(asked)
            for name, vocab in vocabs.items()
        )
        for doc, (number, name) in bank.pipe(stream, as_tuples=True):
            yield number, name, doc

    return run


def _in_vocab(asked: str | Doc, vocab: Vocab) -> str | Doc:
    return asked if isinstance(asked, str) else as_asked(asked, vocab)


def _n_characters(asked: str | Doc) -> int:
    return len(asked if isinstance(asked, str) else asked.text)
