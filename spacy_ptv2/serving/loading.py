"""Copies a saved or live pipeline for the bank, over a vocabulary shared with other tasks.

`spacy.load(path, vocab=...)` will not do: it first empties the strings and lexemes of that vocabulary (spaCy 3.8,
`Vocab.from_disk`), although Docs of other pipelines still use it. Here the strings are added to it instead. Tokenizers
are shared too. Each puts its special cases into its vocabulary, 1.2 MB for English, and nothing removes them again
(spaCy 3.8, `Vocab.make_fused_token`), so that each additional one would outlive its pipeline in memory. Of folders with
equal configs only the first is built, the others are copies (`blanks.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..errors import Errors, PTuningError
from .blanks import CONFIG, Blanks

Tokenize = Callable[[str], Doc]


class SharedVocabularies:
    """One vocabulary per language, for pipelines that have no vectors and no lookup tables of their own.

    Pipelines with equal tokenizers share one of them as well.
    """

    def __init__(self) -> None:
        self._vocabs: dict[str | None, Vocab] = {}
        self._tokenizers: dict[tuple[str | None, bytes], Tokenize] = {}
        self._blanks = Blanks()

    def blank(self, lang: str) -> Language:
        """Return a pipeline without components, over the vocabulary of its language."""
        nlp = spacy.blank(lang)
        self._vocabs.setdefault(nlp.lang, nlp.vocab)
        return nlp

    def load(self, pipeline: str | Path | Language) -> Language:
        """Return a new pipeline from a package, a folder, or a pipeline in memory, which is copied.

        RAISES (PTuningError): P716 for anything else.
        """
        if isinstance(pipeline, (str, Path)):
            folder = Path(pipeline)
            if (folder / CONFIG).is_file() and not (isinstance(pipeline, str) and spacy.util.is_package(pipeline)):
                return self._load_folder(folder)
            pipeline = spacy.load(pipeline)
        if not isinstance(pipeline, Language):
            raise PTuningError(Errors.P716.format(got=type(pipeline).__name__))
        return self._copy(pipeline)

    def _load_folder(self, folder: Path) -> Language:
        loaded = self._blanks.load(folder)
        if loaded is None:
            loaded = self._copy(spacy.load(folder))
            nlp = loaded
            if nlp.vocab is self._vocabs[nlp.lang]:
                self._blanks.keep(folder, lambda: _build(nlp, nlp.vocab, nlp.tokenizer))
        return loaded

    def _copy(self, nlp: Language) -> Language:
        shared = self._vocabs.get(nlp.lang)
        if shared is None:
            shared = self._vocabs[nlp.lang] = type(nlp)().vocab
        if _brings_data(nlp.vocab, shared):
            return _fill(_build(nlp, True), nlp, exclude=[])
        for text in nlp.vocab.strings:
            shared.strings.add(text)
        key = (nlp.lang, _identity(nlp))
        tokenizer = self._tokenizers.get(key)
        if tokenizer is None:
            copied = _fill(_build(nlp, shared), nlp, exclude=["vocab"])
            self._tokenizers[key] = copied.tokenizer
            return copied
        return _fill(_build(nlp, shared, tokenizer), nlp, exclude=["vocab", "tokenizer"])


def _brings_data(vocab: Vocab, shared: Vocab) -> bool:
    return len(vocab.vectors) > 0 or bool(vocab.lookups.to_bytes() != shared.lookups.to_bytes())


def _identity(nlp: Language) -> bytes:
    """Return a digest that two pipelines share if their tokenizers are equal."""
    settings = repr((type(nlp.tokenizer), nlp.config["nlp"]["tokenizer"]))
    tokenizer: Any = nlp.tokenizer
    content: bytes = tokenizer.to_bytes(exclude=["vocab"])
    return hashlib.sha256(settings.encode("utf8") + content).digest()


def _build(nlp: Language, vocab: Any, tokenizer: Tokenize | None = None) -> Language:
    """Return a pipeline of the same config that has not learned anything.

    tokenizer (Callable | None): What it starts with instead of building one, which takes most of the time.
    """

    class Sharing(type(nlp)):  # type: ignore[misc]
        def __init__(self, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **{**settings, "create_tokenizer": lambda nlp: tokenizer})

    language = type(nlp) if tokenizer is None else Sharing
    built = language.from_config(nlp.config, vocab=vocab, meta=nlp.meta, auto_fill=False)
    built.__class__ = type(nlp)
    return built


def _fill(built: Language, nlp: Language, exclude: list[str]) -> Language:
    """Give a pipeline what another one has learned."""
    built.from_bytes(nlp.to_bytes(exclude=exclude), exclude=exclude)
    built.set_error_handler(nlp.default_error_handler)
    return built
