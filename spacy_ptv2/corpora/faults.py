"""What a reader does with an entry that is wrong: stop, or in a lenient mode leave it out, count it and sum up."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import CorpusError, Warnings

SHOWN = 3  # faults that the summary quotes


@dataclass
class Faults:
    """The wrong entries of a file.

    path (Path): The file. lenient (bool): Leave them out instead of stopping at the first.
    """

    path: Path
    lenient: bool = False
    found: list[str] = field(default_factory=list)

    def add(self, message: str) -> None:
        """Take note of a wrong entry, which the caller leaves out.

        RAISES (CorpusError): With the message, unless lenient.
        """
        if not self.lenient:
            raise CorpusError(message)
        self.found.append(message)

    def sum_up(self, n_entries: int, what: str) -> None:
        """Warn of what was left out (PW30). n_entries (int): How many entries there were. what (str): Their kind."""
        if self.found:
            examples = "; ".join(self.found[:SHOWN])
            message = Warnings.PW30.format(
                path=self.path, n=len(self.found), total=n_entries, what=what, examples=examples
            )
            warnings.warn(message, stacklevel=2)
