"""From a saved or live pipeline to one of the bank's own, over a vocabulary that it shares with other tasks.

`spacy.load(path, vocab=...)` will not do: it empties the strings and lexemes of that vocabulary first (spaCy 3.8,
`Vocab.from_disk`), under the Docs of everyone who uses it. Here the strings are added to it instead.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language
from spacy.util import load_model_from_config
from spacy.vocab import Vocab

from ..errors import Errors, PTuningError


class SharedVocabularies:
    """One vocabulary for each language, for pipelines that bring no vectors and no lookup tables of their own."""

    def __init__(self) -> None:
        self._vocabs: dict[str | None, Vocab] = {}

    def load(self, pipeline: str | Path | Language) -> Language:
        """Return a pipeline of its own from a package, a folder or a pipeline in memory, which is copied.

        RAISES (PTuningError): P716 if it is none of these.
        """
        if isinstance(pipeline, (str, Path)):
            pipeline = spacy.load(pipeline)
        if not isinstance(pipeline, Language):
            raise PTuningError(Errors.P716.format(got=type(pipeline).__name__))
        return self._copy(pipeline)

    def _copy(self, nlp: Language) -> Language:
        shared = self._vocabs.get(nlp.lang)
        if shared is None:
            shared = self._vocabs[nlp.lang] = type(nlp)().vocab
        if _brings_data(nlp.vocab, shared):
            return _rebuild(nlp, True, exclude=[])
        for text in nlp.vocab.strings:
            shared.strings.add(text)
        return _rebuild(nlp, shared, exclude=["vocab"])


def _brings_data(vocab: Vocab, shared: Vocab) -> bool:
    return len(vocab.vectors) > 0 or bool(vocab.lookups.to_bytes() != shared.lookups.to_bytes())


def _rebuild(nlp: Language, vocab: Any, exclude: list[str]) -> Language:
    copied = load_model_from_config(nlp.config, vocab=vocab, meta=nlp.meta)
    copied.from_bytes(nlp.to_bytes(exclude=exclude), exclude=exclude)
    copied.set_error_handler(nlp.default_error_handler)
    return copied
