"""Trained tensors in safetensors, with a header: format version, the release that wrote it, identity, shapes, checksum.

In: named numpy arrays and a header. Out: bytes, and back. Every kind of damage is refused by name. Neither pickle nor
backbone weights are ever written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors_numpy

from ..errors import Errors, FormatError
from ..reading import parse_json, parse_object

FORMAT_VERSION = 1
HEADER_KEY = "spacy_ptv2"  # one JSON document under one key of the safetensors metadata

Tensors = Mapping[str, NDArray[Any]]


def dump_tensors(tensors: Tensors, header: Mapping[str, Any]) -> bytes:
    """Write tensors and a header as safetensors bytes.

    header (Mapping[str, Any]): JSON values, written with the format version, this release and the tensors' checksum.
    """
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    own = {"format_version": FORMAT_VERSION, "written_by": _release(), "checksum": checksum_of(arrays)}
    document = {**header, **own}
    return safetensors_numpy.save(arrays, metadata={HEADER_KEY: json.dumps(document, sort_keys=True)})


def load_tensors(data: bytes, path: Path | str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read what `dump_tensors` wrote.

    path (Path | str): Where the bytes come from, for messages.
    RAISES (FormatError): P301 (damaged), P303 (version), P304 (not ours), P306 (checksum), P307 (NaN, infinities).
    """
    try:
        tensors = safetensors_numpy.load(data)
        length = int.from_bytes(data[:8], "little")
        metadata = parse_object(data[8 : 8 + length]).get("__metadata__") or {}
        header = parse_json(metadata[HEADER_KEY]) if HEADER_KEY in metadata else None
    except (SafetensorError, ValueError, LookupError, TypeError, AttributeError, MemoryError) as error:
        raise FormatError(Errors.P301.format(path=path, error=error)) from error
    if not isinstance(header, dict):
        raise FormatError(Errors.P304.format(path=path, field=HEADER_KEY))
    for field in ("format_version", "checksum"):
        if field not in header:
            raise FormatError(Errors.P304.format(path=path, field=field))
    number = header["format_version"]
    if type(number) is not int or number != FORMAT_VERSION:
        got, writer = f"{number!r:.100}", f"{header.get('written_by', 'unknown')!s:.100}"
        raise FormatError(Errors.P303.format(path=path, got=got, writer=writer, expected=FORMAT_VERSION))
    checksum = checksum_of(tensors)
    if checksum != header["checksum"]:
        raise FormatError(Errors.P306.format(path=path, got=checksum, expected=f"{header['checksum']!r:.100}"))
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise FormatError(Errors.P307.format(path=path, name=name))
    return tensors, header


@cache
def _release() -> str:
    return version("spacy-ptv2")


def read_file(path: Path) -> bytes:
    """Read a file that belongs to a pipeline.

    RAISES (FormatError): P302 if it is missing, P301 if it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FormatError(Errors.P302.format(path=path)) from None
    except OSError as error:
        raise FormatError(Errors.P301.format(path=path, error=error)) from error


def checksum_of(tensors: Tensors) -> str:
    """Return the sha256 over the tensors' names, types, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
