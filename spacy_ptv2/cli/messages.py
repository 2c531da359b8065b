"""What several commands say: errors, warnings as messages, where a backbone is, the command that trains."""

from __future__ import annotations

import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import NoReturn

from spacy.cli._util import show_validation_error
from wasabi import msg

from ..errors import BackboneError, Errors, PTuningError


def fail(title: str, text: str = "") -> NoReturn:
    """Print on standard error why a command cannot go on, and exit with 1."""
    with redirect_stdout(sys.stderr):  # wasabi prints errors on standard output, where results go
        msg.fail(title, text)
    raise SystemExit(1)


@contextmanager
def showing_config_errors(path: Path | None, *, hint_fill: bool = False) -> Iterator[None]:
    """Print on standard error what spaCy says about a config or about code for it, and exit with 1.

    hint_fill (bool): Also say how to complete a config that lacks values.
    """
    with redirect_stdout(sys.stderr), show_validation_error(path, hint_fill=hint_fill):
        yield


@contextmanager
def saying(*codes: str) -> Iterator[None]:
    """Print warnings with these codes as messages, and suppress all others."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for warning in caught:
        if any(code in str(warning.message) for code in codes):
            msg.warn(str(warning.message))


def refuse_to_overwrite(path: Path, force: bool) -> None:
    """RAISES (PTuningError): P413 if there is such a file and it may not be overwritten."""
    if path.exists() and not force:
        raise PTuningError(Errors.P413.format(path=path))


def say_where_backbone_is(name: str) -> None:
    """Print which folder a backbone is in, or what to do if it is not on this machine."""
    from ..backbones.lookup import find_backbone
    from ..backbones.source import BackboneSource

    try:
        msg.info(f"The backbone {name} is in {find_backbone(BackboneSource(name))}")
    except BackboneError as error:
        msg.warn("The backbone is not on this machine yet", str(error))


def next_command(config: Path, paths: Sequence[str] = ("train", "dev")) -> str:
    """Return the command that trains a config. paths (Sequence[str]): Which of its [paths] are to be given."""
    given = "".join(f" --paths.{name} {name}.spacy" for name in paths)
    return f"python -m spacy train {shlex.quote(str(config))} --output training{given}"
