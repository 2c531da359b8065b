"""Verifies a wheel or pipeline: is it unchanged, and does it still predict the same?

In: a folder, or an installed package's name. Out: one `Check` for everything that can be checked: hashes, checksums of
trained tensors, loading, the backbone's files, the sample. No hash comes from a cache; the sample may run in a kept
graph, as texts would.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from spacy.language import Language
from spacy.util import load_model_from_init_py, load_model_from_path

from ..backbones.fingerprint import fingerprint_folder
from ..errors import Errors, PTuningError
from ..pipeline.safetensors_pipe import MODEL_FILE
from ..serialization.tensors import load_tensors, read_file
from .manifest import MANIFEST_FILE, package_problems
from .sample import SAMPLE_FILE, differing_texts, find_precisions, read_sample
from .summary import trained_adapters


@dataclass(frozen=True)
class Check:
    """One check. outcome ("passed" | "failed" | "not checked"). detail (str): What was found."""

    what: str
    outcome: Literal["passed", "failed", "not checked"]
    detail: str


@dataclass(frozen=True)
class Target:
    """What is verified. folder (Path): Of the package, or of the pipeline itself. record: Only if it is installed."""

    folder: Path
    record: Distribution | None

    @property
    def is_package(self) -> bool:
        """Whether the folder is that of a package, with the pipeline's own folder in it."""
        return (self.folder / "__init__.py").is_file()

    def load(self) -> Language:
        """Load the pipeline without the package's code."""
        if self.is_package:
            return load_model_from_init_py(self.folder / "__init__.py")
        return load_model_from_path(self.folder)


def find_target(pipeline: str) -> Target:
    """Return the target that a folder or a package's name stands for.

    RAISES (PTuningError): P613 if there is neither.
    """
    if Path(pipeline).is_dir():
        return Target(Path(pipeline).resolve(), None)
    spec = find_spec(pipeline) if pipeline.isidentifier() else None
    if spec is None or spec.origin is None:
        raise PTuningError(Errors.P613.format(pipeline=pipeline))
    try:
        record = distribution(pipeline)
    except PackageNotFoundError:
        record = None
    return Target(Path(spec.origin).parent, record)


def verify(pipeline: str) -> Iterator[Check]:
    """Yield one check of a pipeline after another, the quick ones first.

    pipeline (str): A folder, or the name of an installed package. RAISES (PTuningError): P613 if there is neither.
    """
    target = find_target(pipeline)
    yield _check_manifest(target.folder)
    yield _check_record(target)
    yield _check_tensors(target.folder)
    try:
        nlp = target.load()
    except Exception as error:  # any error is a finding
        yield Check("loading", "failed", f"{type(error).__name__}: {error}")
        return
    yield Check("loading", "passed", f"components {', '.join(nlp.component_names)}; all shapes fit")
    yield _check_backbones(nlp)
    yield _check_sample(nlp, target.folder)


def _check_manifest(folder: Path) -> Check:
    if not (folder / MANIFEST_FILE).is_file():
        return Check("manifest", "not checked", f"there is no {MANIFEST_FILE}; `spacy ptv2 package` writes one")
    problems = list(package_problems(folder, cached=False))
    if problems:
        return Check("manifest", "failed", "; ".join(map(str, problems)))
    return Check("manifest", "passed", "every data file has the packaged size and sha256")


def _check_record(target: Target) -> Check:
    files = (target.record.files if target.record is not None else None) or []
    hashed = [(file, file.hash) for file in files if file.hash is not None]
    if not hashed:
        return Check("installed files", "not checked", "not installed as a wheel")
    changed = [str(file) for file, saved in hashed if _hash_of(Path(str(file.locate())), saved.mode) != saved.value]
    if changed:
        return Check("installed files", "failed", f"changed since they were installed: {', '.join(changed)}")
    return Check("installed files", "passed", f"{len(hashed)} files match the installer's RECORD")


def _hash_of(file: Path, algorithm: str) -> str | None:
    if not file.is_file():
        return None
    digest = hashlib.new(algorithm, file.read_bytes()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _check_tensors(folder: Path) -> Check:
    files = sorted(folder.rglob(MODEL_FILE))
    ours = [file for file in files if not (file.parent / "config.json").is_file()]  # those of a backbone are left out
    problems: list[str] = []
    for file in ours:
        try:
            load_tensors(read_file(file), file)
        except PTuningError as error:
            problems.append(str(error))
    if problems:
        return Check("trained tensors", "failed", "; ".join(problems))
    return Check("trained tensors", "passed" if ours else "not checked", f"{len(ours)} files match their checksums")


def _check_backbones(nlp: Language) -> Check:
    trained = [shim for shim in trained_adapters(nlp) if shim.loaded_record is not None]
    if not trained:
        return Check("backbone", "not checked", "no component has a trained adapter")
    found = {path: fingerprint_folder(path, cached=False) for path in {shim.backbone.path for shim in trained}}
    for shim in trained:
        expected, path = shim.loaded_record.fingerprint, shim.backbone.path  # type: ignore[union-attr]
        if found[path] != expected:
            return Check("backbone", "failed", f"{path} has the fingerprint {found[path]}, trained on {expected}")
    return Check("backbone", "passed", ", ".join(f"{path}: {fingerprint}" for path, fingerprint in found.items()))


def _check_sample(nlp: Language, folder: Path) -> Check:
    if not (folder / SAMPLE_FILE).is_file():
        return Check("sample", "not checked", f"there is no {SAMPLE_FILE}; `spacy ptv2 package` writes one")
    try:
        sample = read_sample(folder / SAMPLE_FILE)
        differing = differing_texts(nlp, sample)
    except PTuningError as error:
        return Check("sample", "failed", str(error))
    if not differing:
        return Check("sample", "passed", "the predictions match the packaged ones")
    details = f"other predictions for {len(differing)} texts, the first: {differing[0]!r}"
    then, now = (" and ".join(precisions) for precisions in (sample.precisions, find_precisions(nlp)))
    if then != now:
        return Check("sample", "not checked", f"{details}; made in {then}, this machine computes in {now}")
    return Check("sample", "failed", details)
