"""Finds the files of a backbone on this machine.

In: a `BackboneSource`, and for a trained pipeline the fingerprint that it recorded. Out: a folder with config.json,
safetensors weights and a fast tokenizer. Order: explicit override (`path`, then the environment variable), installed
packages, local folder, local hub cache, and the hub itself only where the user permits it. With a fingerprint, the
first place that matches it is used.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import BackboneError, Errors, Warnings
from ..reading import is_file, is_folder
from .catalogue import check_weights, install_hint, locate_in_packages
from .fingerprint import fingerprint_folder
from .source import DOWNLOAD_VARIABLE, OVERRIDE_VARIABLE, BackboneSource, Candidate, Recorded

HUB_PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model"]
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")
PICKLED_WEIGHTS = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "tf_model.h5")


@dataclass
class Search:
    """One search: what is wanted, and what was seen on the way. tried, skipped (list[str]): For messages."""

    source: BackboneSource
    recorded: Recorded | None
    tried: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def candidates(self) -> Iterator[Candidate]:
        """Yield what this machine offers, in order. Later places are searched only when the iteration gets there."""
        if self.source.override:
            yield Candidate(_expand(self.source.override), "the override")
            return
        fingerprint = self.recorded.fingerprint if self.recorded is not None else None
        yield from filter(self._is_acceptable, locate_in_packages(self.source.name, fingerprint))
        self.tried.append("installed packages")
        folder = _expand(self.source.name)
        if is_folder(folder) and self._is_acceptable(candidate := Candidate(folder, f"the folder {folder}")):
            yield candidate
        self.tried.append(f"the folder {folder}")
        yield from self._on_the_hub(local_only=True)
        self.tried.append("the local hub cache")
        if self.source.may_download:
            yield from self._on_the_hub(local_only=False)
            self.tried.append("the hub (download failed)")

    def _is_acceptable(self, candidate: Candidate) -> bool:
        """Return whether to accept a candidate. By its name alone, neither another revision nor other weights pass."""
        if self.recorded is not None:
            return True
        wanted = self.source.revision
        if wanted is not None and candidate.revision != wanted:
            self.skipped.append(f"{candidate.origin} (revision {candidate.revision or 'unknown'})")
            return False
        if candidate.converted:
            self.skipped.append(f"{candidate.origin} (converted weights)")
            return False
        return True

    def _on_the_hub(self, *, local_only: bool) -> Iterator[Candidate]:
        wanted = [self.source.revision]
        if self.recorded is not None and self.recorded.revision not in (None, self.source.revision):
            wanted.append(self.recorded.revision)  # the default branch may have moved on since training
        for revision in wanted:
            folder = _from_hub(self.source.name, revision, local_only=local_only)
            if folder is not None:
                commit = folder.name if folder.parent.name == "snapshots" else revision
                yield Candidate(folder, f"the hub cache, {folder}", revision=commit)


def find_backbone(source: BackboneSource, fingerprint: str | None = None) -> Path:
    """Return the folder that holds the files of a backbone.

    fingerprint (str | None): The fingerprint that they must have; None to take the first place.
    RAISES (BackboneError): As `locate_backbone`.
    """
    return locate_backbone(source, None if fingerprint is None else Recorded(fingerprint)).path


def locate_backbone(source: BackboneSource, recorded: Recorded | None = None) -> Candidate:
    """Return the first place that holds a backbone; for a trained pipeline, the first one with its fingerprint.

    RAISES (BackboneError): P101 or P115, with every place searched and the remedies; P102, P103 or P109 if what is
        there is unusable; P105 if everything found has another fingerprint (PW05 where `verify` is "warn").
    """
    search = Search(source, recorded)
    others: list[tuple[Candidate, str]] = []
    problems: list[BackboneError] = []
    for candidate in search.candidates():
        try:
            candidate = replace(candidate, path=_check(candidate))
        except BackboneError as problem:
            if recorded is None:
                raise
            problems.append(problem)
            continue
        if recorded is None or source.verify == "off":
            return candidate
        try:
            found = fingerprint_folder(candidate.path)
        except OSError as error:
            problems.append(BackboneError(Errors.P108.format(path=candidate.path, error=error)))
            continue
        if found == recorded.fingerprint:
            return candidate
        others.append((candidate, found))
    if recorded is not None and others:
        return _another(source, recorded, *others[0])
    raise problems[0] if problems else _not_found(search)


def refuse_another(source: BackboneSource, path: Path, *, expected: str, got: str) -> BackboneError:
    """Return the error that a folder holds another backbone. expected (str), got (str): Fingerprints."""
    message = Errors.P105.format(expected=expected, got=got, name=source.name, path=path, variable=OVERRIDE_VARIABLE)
    return BackboneError(message)


def _another(source: BackboneSource, recorded: Recorded, candidate: Candidate, found: str) -> Candidate:
    expected, name, path = recorded.fingerprint, source.name, candidate.path
    if source.verify == "strict":
        raise refuse_another(source, path, expected=expected, got=found)
    warnings.warn(Warnings.PW05.format(expected=expected, got=found, name=name, path=path), stacklevel=3)
    return candidate


def _not_found(search: Search) -> BackboneError:
    source, tried = search.source, ", ".join(search.tried)
    if search.skipped and source.revision is not None:
        skipped = ", ".join(search.skipped)
        return BackboneError(
            Errors.P115.format(
                name=source.name, revision=source.revision, tried=tried, skipped=skipped, download=DOWNLOAD_VARIABLE
            )
        )
    remedy = install_hint(source.name, search.recorded.requirement if search.recorded else None)
    return BackboneError(
        Errors.P101.format(
            name=source.name, tried=tried, remedy=remedy, variable=OVERRIDE_VARIABLE, download=DOWNLOAD_VARIABLE
        )
    )


def _check(candidate: Candidate) -> Path:
    path = check_folder(candidate.path)
    if candidate.weights_sha256 is not None:
        check_weights(path, candidate)
    return path


def check_folder(path: Path) -> Path:
    """Return the absolute path of a model folder.

    RAISES (BackboneError): P102 (files are missing), P103 (only pickled weights), P119 (an adapter of PEFT is in it).
    """
    missing = []
    if not is_file(path / "config.json"):
        missing.append("config.json")
    adapters = [name for name in ADAPTER_FILES if is_file(path / name)]
    if adapters:
        raise BackboneError(Errors.P119.format(path=path, found=", ".join(adapters)))
    if not is_folder(path) or not any(map(is_file, path.glob("*.safetensors"))):
        pickled = [name for name in PICKLED_WEIGHTS if is_file(path / name)]
        if pickled:
            raise BackboneError(Errors.P103.format(path=path, found=", ".join(pickled)))
        missing.append("*.safetensors")
    if missing:
        raise BackboneError(Errors.P102.format(path=path, missing=" and ".join(missing)))
    return path.resolve()


def _expand(path: str) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111  (pathlib's raises if there is no such user)


def _from_hub(name: str, revision: str | None, *, local_only: bool) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = snapshot_download(name, revision=revision, allow_patterns=HUB_PATTERNS, local_files_only=local_only)
    except (LocalEntryNotFoundError, HFValidationError, HfHubHTTPError, OSError):
        return None
    return Path(folder)
