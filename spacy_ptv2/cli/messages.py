"""What several commands say: warnings as messages, where a backbone is, the command that trains."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wasabi import msg

from ..errors import BackboneError, Errors, PTuningError


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
