"""What a service takes on: texts that spaCy can store, within limits of one request and of all that run at a time."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, PositiveFloat, PositiveInt


def _writable(text: str) -> str:
    """RAISES (ValueError): If half a surrogate pair is in the text, which JSON can spell and spaCy cannot store."""
    text.encode("utf8")
    return text


Text = Annotated[str, AfterValidator(_writable)]


class Limits(BaseModel):
    """Of one request: its texts, the characters of each and of all, and its time. Of the process: requests at a time.

    tokenizer_work (int): Of all texts, the lengths of their stretches without white space times how many characters
    stand before the first and after the last word of each, added up. spaCy's tokenizer cuts brackets and the like off
    the ends one at a time and reads all that is left each time, 0.2 microseconds a character, while nothing else in the
    process runs. seconds (float): For all of a request, from
    its headers to its answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    texts: PositiveInt = 64
    characters_per_text: PositiveInt = 20_000
    characters: PositiveInt = 100_000
    tokenizer_work: PositiveInt = 2_000_000
    requests: PositiveInt = 4
    seconds: PositiveFloat = 30.0

    @property
    def body_bytes(self) -> int:
        """Most bytes of a request: JSON may write a character in twelve, and each text has a task and its keys."""
        return 12 * self.characters + 1024 * self.texts
