"""Pipelines that are built once and copied, for tasks whose configs say the same, before anything is read into them.

In: the folder of a saved pipeline. Out: a new pipeline, as `spacy.load` returns it, over a vocabulary and a tokenizer
that other tasks have too. Copying a blank pipeline and reading the task into it takes a fiftieth of the time of
building it from its config, where the tokenizer's special cases and the look-ups of registered functions take most.
"""

from __future__ import annotations

import copy
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import srsly
from spacy import util
from spacy.language import Language
from thinc.api import Config, Model

CONFIG = "config.cfg"
BUILT_FROM = ("nlp", "components")  # sections of the config
# Beside the config: what decides whether tasks can share a tokenizer and a vocabulary.
SHARED_FILES = ("tokenizer", "vocab/lookups.bin", "vocab/vectors", "vocab/vectors.cfg", "vocab/key2row")
KNOWN = ("spacy", "spacy_ptv2", "thinc")  # packages whose components and layers keep nothing outside themselves
MOST_KEPT = 32  # different configs; a blank pipeline has no tensors


@dataclass(frozen=True)
class _Blank:
    nlp: Language
    config: str


class Blanks:
    """Blank pipelines by what they are built from, the least recently used out beyond `MOST_KEPT`."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, _Blank] = OrderedDict()

    def load(self, folder: Path) -> Language | None:
        """Return the pipeline of a folder; None if none of its kind is kept."""
        key = _key(folder)
        blank = self._kept.get(key)
        if blank is None:
            return None
        self._kept.move_to_end(key)
        return _read(_copied(blank.nlp), folder, blank.config)

    def keep(self, folder: Path, blank: Callable[[], Language]) -> None:
        """Keep what a blank pipeline of a folder's kind is copied from.

        blank (Callable): Builds it.
        """
        nlp = blank()
        if all(map(_is_plain, (pipe for _, pipe in nlp.components))):
            self._kept[_key(folder)] = _Blank(nlp, _text(folder / CONFIG))
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)


def _key(folder: Path) -> bytes:
    config = _text(folder / CONFIG)
    digest = hashlib.sha256(_own_sections(config).encode("utf8"))
    for name in SHARED_FILES:
        path = folder / name
        digest.update(hashlib.sha256(path.read_bytes() if path.is_file() else b"").digest())
    return digest.digest()


def _own_sections(config: str) -> str:
    """Return the sections of a config that a pipeline is built from; all of it if these take values from elsewhere."""
    blocks = ["[" + block for block in f"\n{config}".split("\n[")[1:]]
    own = "\n".join(block for block in blocks if block[1:].partition("]")[0].partition(".")[0] in BUILT_FROM)
    return config if "${" in own else own


def _text(path: Path) -> str:
    return path.read_text(encoding="utf8")


def _is_plain(pipe: Any) -> bool:
    """Return whether a copy of a component is as good as building it again: no code in it but of known packages."""
    model = getattr(pipe, "model", None)
    functions = [node._func for node in model.walk()] if isinstance(model, Model) else []
    modules = [getattr(part, "__module__", None) or "" for part in (type(pipe), *functions)]
    is_known = all(module.partition(".")[0] in KNOWN for module in modules)
    return is_known and not any(getattr(function, "__closure__", None) for function in functions)


def _copied(nlp: Language) -> Language:
    vocab = nlp.vocab
    shared = (vocab, vocab.strings, vocab.morphology, nlp.tokenizer)
    return copy.deepcopy(nlp, {id(part): part for part in shared})


def _read(nlp: Language, folder: Path, config: str) -> Language:
    """Read a task into a blank pipeline. config (str): That which the pipeline was built from."""
    nlp.meta = util.get_model_meta(folder)
    if (folder / "vocab").exists():
        for text in srsly.read_json(folder / "vocab" / "strings.json"):
            nlp.vocab.strings.add(text)
    nlp.from_disk(folder, exclude=["vocab", "tokenizer", CONFIG])
    own = _text(folder / CONFIG)
    if own != config:
        nlp.config = Config().from_str(own, interpolate=False)
    return nlp
