"""What is damaged: saved components, manifests, backbones, small documents. Each is built once and damaged many times.

A subject's `case` damages a copy, loads it as users do, and says what came of it; see `Case`.
"""

import json
import random
import shutil
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import spacy
import srsly
import torch
from spacy.tokens import DocBin

from spacy_ptv2.architectures import (
    build_ptuning_listener_v1,
    build_tok2vec_ptuning_v1,
    build_token_classifier_v1,
)
from spacy_ptv2.backbones.catalogue import DESCRIPTION_FILE
from spacy_ptv2.backbones.fingerprint import fingerprint_folder, identity_files
from spacy_ptv2.backbones.loading import load_backbone
from spacy_ptv2.backbones.lookup import check_folder
from spacy_ptv2.backbones.registry import CPU, get_backbone
from spacy_ptv2.backbones.source import BackboneSource, Candidate
from spacy_ptv2.corpora.conll import read_conll, to_docs
from spacy_ptv2.errors import PTuningError
from spacy_ptv2.interchange.formats import FORMATS
from spacy_ptv2.interchange.pipelines import export_adapter, read_adapter
from spacy_ptv2.options import AdapterOptions, PromptOptions, WindowOptions
from spacy_ptv2.packaging.manifest import MANIFEST_FILE, check_package, write_manifest
from spacy_ptv2.packaging.sample import SAMPLE_FILE, describe, make_sample, read_sample
from spacy_ptv2.pipeline.ptuning_transformer import PTuningTransformer
from spacy_ptv2.pipeline.token_classifier import TokenClassifier
from spacy_ptv2.reading import parse_json
from spacy_ptv2.training.trials import check_variants
from tests.tiny import TRAIN_CONLL, build_pipeline, save_tiny_backbone, train

from .mutations import mutate_bytes, mutate_file, mutate_json, restore, rewrite_tensors

TEXTS = ["Peter Hansen works in New York .", "Acme opens Danish office"]
SLOW = 10.0  # seconds, hundreds of times what any case takes
COMPONENTS = ("ptuning_transformer", "token_classifier")


@dataclass(frozen=True)
class Case:
    """A kind of damage, the file that it hit, and what came of it.

    outcome: "refused" (by an error of ours), "identical" (the same predictions), "told" (another result, by the
    fingerprint or the content that it is known by), and what must not be: "silent", "raw" (any other error), "slow".
    """

    subject: str
    kind: str
    file: str
    outcome: str
    error: str


class Subject(ABC):
    """Something that is saved. name (str): For the report."""

    name: str

    @abstractmethod
    def damage(self, chance: random.Random) -> tuple[str, str, Callable[[], str]]:
        """Damage a copy. RETURNS: The kind, the file, and what loads it and returns the outcome"""

    def case(self, chance: random.Random) -> Case:
        """Damage a copy and load it."""
        kind, file, load = self.damage(chance)
        start = perf_counter()
        error = ""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                outcome = load()
        except PTuningError as refusal:
            outcome, error = "refused", str(refusal)[:300]
        except BaseException as problem:
            if isinstance(problem, (KeyboardInterrupt, SystemExit)):
                raise
            outcome, error = "raw", f"{type(problem).__name__}: {str(problem)[:300]}"
        if perf_counter() - start > SLOW:
            outcome = "slow"
        return Case(self.name, kind, file, outcome, error)


class SavedComponents(Subject):
    """The bytes of our two components, one part damaged, or taken from another pipeline over the same backbone."""

    name = "component"

    def __init__(self, backbone: Path, corpus: Path) -> None:
        self._backbone = str(backbone)
        self._vocab = spacy.blank("en").vocab
        self._good, self._other = (
            {name: _parts(pipe) for name, pipe in nlp.pipeline}
            for nlp in (_trained(backbone, corpus, steps) for steps in (30, 5))
        )
        self._expected = self._predict(self._good)
        assert any(found["ents"] for found in self._expected)

    def damage(self, chance: random.Random) -> tuple[str, str, Callable[[], str]]:
        """See `Subject`."""
        parts = {name: dict(own) for name, own in self._good.items()}
        name, part = chance.choice(COMPONENTS), chance.choice(["cfg", "model", "model", "model"])
        data = parts[name][part]
        if chance.random() < 0.15:
            kind, damaged = "swapped", self._other[name][part]
        elif part == "cfg":
            kind, damaged = mutate_json(data, chance)
        else:
            kind, damaged = (rewrite_tensors if chance.random() < 0.6 else mutate_bytes)(data, chance)
        parts[name][part] = damaged

        def load() -> str:
            if self._predict(parts) == self._expected:
                return "identical"
            return "told" if part == "cfg" and _changes_spans_key(data, damaged) else "silent"

        return kind, f"{name}/{part}", load

    def _predict(self, parts: dict[str, dict[str, bytes]]) -> list[dict[str, Any]]:
        source = BackboneSource(self._backbone)
        adapter = AdapterOptions(PromptOptions(length=4), lora_rank=1)
        tok2vec = build_tok2vec_ptuning_v1(source, adapter, WindowOptions(32, 8))
        transformer = PTuningTransformer(self._vocab, tok2vec, COMPONENTS[0])
        head = TokenClassifier(self._vocab, build_token_classifier_v1(build_ptuning_listener_v1()), COMPONENTS[1])
        transformer.find_listeners(head)
        for pipe in (transformer, head):
            pipe.from_bytes(srsly.msgpack_dumps(parts[pipe.name]), exclude=["vocab"])
        make_doc = spacy.blank("en", vocab=self._vocab).make_doc
        return [describe(head(transformer(make_doc(text)))) for text in TEXTS]


class Packages(Subject):
    """The data files and the manifest of a package, as its `load()` checks them."""

    name = "manifest"

    def __init__(self, folder: Path, components: SavedComponents) -> None:
        self._good, self._copy = folder / "good" / "en_package", folder / "copy" / "en_package"
        for name, parts in components._good.items():
            for part, data in parts.items():
                (self._good / name).mkdir(parents=True, exist_ok=True)
                (self._good / name / part).write_bytes(data)
        write_manifest(self._good)
        shutil.copytree(self._good, self._copy)
        self._contents = _contents(self._good)

    def damage(self, chance: random.Random) -> tuple[str, str, Callable[[], str]]:
        """See `Subject`."""
        restore(self._copy, self._good)
        files = sorted(file for file in self._copy.rglob("*") if file.is_file())
        file = chance.choice([*files, self._copy / MANIFEST_FILE])
        kind = mutate_file(file, chance, mutate_json if file.name == MANIFEST_FILE else mutate_bytes)

        def load() -> str:
            check_package(self._copy)
            return "identical" if _contents(self._copy) == self._contents else "silent"

        return kind, file.name, load


class Backbones(Subject):
    """The folder of a tiny backbone: the same states, or another fingerprint, or an error of ours."""

    name = "backbone"

    def __init__(self, folder: Path, backbone: Path) -> None:
        self._good, self._copy = backbone, folder / "copy"
        shutil.copytree(backbone, self._copy)
        self._fingerprint = fingerprint_folder(backbone)
        self._expected = self._read()

    def damage(self, chance: random.Random) -> tuple[str, str, Callable[[], str]]:
        """See `Subject`."""
        restore(self._copy, self._good)
        files = identity_files(self._copy)
        file = chance.choice([*files, self._copy / "config.json", self._copy / "config.json"])
        kind = mutate_file(file, chance, mutate_json if file.suffix == ".json" else mutate_bytes)

        def load() -> str:
            states = self._read()
            if fingerprint_folder(self._copy) != self._fingerprint:
                return "told"
            return "identical" if torch.equal(states, self._expected) else "silent"

        return kind, file.name, load

    def _read(self) -> torch.Tensor:
        source = BackboneSource(str(self._copy))
        loaded = load_backbone(source, Candidate(check_folder(self._copy), "here"), CPU, "")
        ids = torch.tensor([loaded.tokenizer(TEXTS[0])["input_ids"][: loaded.max_positions]])
        with torch.inference_mode():
            states: torch.Tensor = loaded.model(input_ids=ids).last_hidden_state
        return states


class Documents(Subject):
    """Small documents with no checksum of their own, which a manifest or nothing covers: read or refused."""

    name = "document"

    def __init__(self, folder: Path, backbone: Path, corpus: Path) -> None:
        self._good, self._copy = folder / "good", folder / "copy"
        self._good.mkdir(parents=True)
        nlp = _trained(backbone, corpus, 1)
        self._backbone = get_backbone(BackboneSource(str(backbone)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that these formats have no place for the scalar mix
            for name in FORMATS:
                export_adapter(nlp, self._good / name, name)
        sample = make_sample(nlp, TEXTS)
        (self._good / SAMPLE_FILE).write_text(json.dumps(sample), encoding="utf8")
        trials = {"short": {"components.transformer.model.adapter.prompt.length": 4}, "seed": {"training.seed": 1}}
        (self._good / "trials.json").write_text(json.dumps(trials), encoding="utf8")
        (self._good / "model").mkdir()
        (self._good / "model" / DESCRIPTION_FILE).write_text('{"revision": "a", "fingerprint": "0"}', encoding="utf8")
        shutil.copytree(self._good, self._copy)

    def damage(self, chance: random.Random) -> tuple[str, str, Callable[[], str]]:
        """See `Subject`."""
        restore(self._copy, self._good)
        file = chance.choice(sorted(file for file in self._copy.rglob("*") if file.is_file()))
        kind = mutate_file(file, chance, mutate_json if file.suffix == ".json" else mutate_bytes)

        def load() -> str:
            self._load(file)
            return "told"

        return kind, f"{file.parent.name}/{file.name}", load

    def _load(self, file: Path) -> None:
        from spacy_ptv2.backbones.catalogue import _read_description
        from spacy_ptv2.cli.trials import _read

        if file.name == SAMPLE_FILE:
            read_sample(file)
        elif file.name == "trials.json":
            check_variants(_read(file))
        elif file.name == DESCRIPTION_FILE:
            _read_description(file.parent)
        else:
            read_adapter([file.parent]).fit(self._backbone)


def build_subjects(folder: Path) -> dict[str, Subject]:
    """Return all subjects by name, built in a folder."""
    backbone, corpus = make_backbone_and_corpus(folder)
    components = SavedComponents(backbone, corpus)
    subjects = [
        components,
        Packages(folder / "packages", components),
        Backbones(folder / "backbones", backbone),
        Documents(folder / "documents", backbone, corpus),
    ]
    return {subject.name: subject for subject in subjects}


def make_backbone_and_corpus(folder: Path) -> tuple[Path, Path]:
    """Return the folder of a tiny backbone and a small corpus."""
    backbone = save_tiny_backbone(folder / "backbone", "bert")
    (folder / "train.txt").write_text(TRAIN_CONLL, encoding="utf8")
    corpus = folder / "train.spacy"
    DocBin(docs=to_docs(read_conll(folder / "train.txt"), spacy.blank("en").vocab)).to_disk(corpus)
    return backbone, corpus


def _trained(backbone: Path, corpus: Path, steps: int) -> spacy.Language:
    nlp = build_pipeline(backbone, corpus)
    train(nlp, corpus, steps=steps)
    return nlp


def _parts(pipe: Any) -> dict[str, bytes]:
    parts = srsly.msgpack_loads(pipe.to_bytes(exclude=["vocab"]))
    return {"cfg": parts["cfg"].encode(), "model": parts["model"]}


def _contents(folder: Path) -> dict[str, bytes]:
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST_FILE]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def _changes_spans_key(data: bytes, damaged: bytes) -> bool:
    """Return whether nothing changed but the name of a span group, which is a wish and no damage."""
    before, after = json.loads(data), parse_json(damaged)
    return isinstance(after, dict) and {**after, "spans_key": before["spans_key"]} == before != after
