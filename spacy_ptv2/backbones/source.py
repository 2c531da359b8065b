"""What a config says about a backbone, what a trained pipeline recorded about it, and what this machine offers.

`BackboneSource` comes from the config, `Recorded` from the header of a saved adapter. A `Candidate` is a folder that
may hold the wanted model, with what is known about its origin. `lookup.py` goes from the first two to the third.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ..errors import BackboneError, Errors
from ..options import AttentionKind, Precision

OVERRIDE_VARIABLE = "SPACY_PTV2_BACKBONE"
DOWNLOAD_VARIABLE = "SPACY_PTV2_ALLOW_DOWNLOAD"  # "1" or "true" permits fetching every backbone that is missing
MAX_NAME = 4096  # characters, as many as a path has on Linux
Quantization = Literal["int8", "nf4"]
Verification = Literal["strict", "warn", "off"]


@dataclass(frozen=True)
class BackboneSource:
    """What a config says about a backbone: where it is and how to load it.

    name (str): A hub id ("sentence-transformers/all-MiniLM-L6-v2") or a folder.
    revision (str | None): The hub revision (branch, tag or commit); None for the default one.
    path (str | None): A folder to use instead, whatever `name` says.
    allow_download (bool): Whether the hub may be asked if nothing is found locally. A loaded pipeline cannot permit it:
        access to the network is for the user of a program to permit, not for what it loads.
    dtype (str): The precision of its weights in memory and of its computation: "float32", "bfloat16", "float16" or
        "auto", which is bfloat16 where the hardware is faster in it, else float32.
    attention (str): "sdpa" (torch's fused attention) or "eager" (every score computed explicitly).
    quantization (str | None): "int8" or "nf4" (4 bits), by bitsandbytes; None for weights in `dtype`.
    verify (str): What happens if the files are not those that a pipeline was trained on: "strict" refuses them, "warn"
        warns and continues, "off" does not compare.
    RAISES (BackboneError): P114 if `verify` is none of these, P117 if a name or path is malformed.
    """

    name: str
    revision: str | None = None
    path: str | None = None
    allow_download: bool = False
    dtype: Precision = "auto"
    attention: AttentionKind = "sdpa"
    quantization: Quantization | None = None
    verify: Verification = "strict"

    def __post_init__(self) -> None:
        expected = get_args(Verification)
        if self.verify not in expected:
            raise BackboneError(Errors.P114.format(got=self.verify, expected=", ".join(map(repr, expected))))
        for field in ("name", "revision", "path"):
            _check_text(field, getattr(self, field))

    @property
    def may_download(self) -> bool:
        """Whether the user permits asking the hub, here or by the environment variable."""
        return self.allow_download or download_is_permitted()

    @property
    def override(self) -> str | None:
        """The folder that the user prescribes, by `path` or by the environment variable."""
        return self.path or os.environ.get(OVERRIDE_VARIABLE) or None


@dataclass(frozen=True)
class Recorded:
    """What a trained pipeline recorded about its backbone.

    fingerprint (str): The fingerprint of its files.
    revision (str | None): The hub revision that they came from.
    requirement (str | None): The package that they came from, as pip names it.
    """

    fingerprint: str
    revision: str | None = None
    requirement: str | None = None


@dataclass(frozen=True)
class Candidate:
    """A folder that may hold the wanted backbone.

    path (Path): The folder.
    origin (str): Where it was found, for messages.
    revision (str | None): Its hub revision, if known.
    requirement (str | None): What to install with pip to have it on another machine.
    weights_sha256 (str | None): The hash that its weights must have.
    converted (bool): Whether its weights were converted from the original ones, for example for a smaller bundle.
    """

    path: Path
    origin: str
    revision: str | None = None
    requirement: str | None = None
    weights_sha256: str | None = None
    converted: bool = False


def download_is_permitted() -> bool:
    """Return whether the user permits asking the hub by the environment variable."""
    return os.environ.get(DOWNLOAD_VARIABLE, "").lower() in ("1", "true")


def _check_text(field: str, text: object) -> None:
    if text is None and field != "name":
        return
    try:
        is_plain = isinstance(text, str) and 0 < len(text) <= MAX_NAME and b"\0" not in os.fsencode(text)
    except ValueError:  # a lone surrogate
        is_plain = False
    if not is_plain:
        raise BackboneError(Errors.P117.format(field=field, most=MAX_NAME, got=f"{text!r:.100}"))
