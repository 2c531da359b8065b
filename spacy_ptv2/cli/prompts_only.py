"""``spacy ptv2 init --prompts-only``: deep prompts alone, in the text of a shipped config, comments kept.

In: the text of a config. Out: the text in which the method "prompt" of `spacy ptv2 compare` trains. Settings change
where they stand; comments that would not be true any more change too, and a paragraph at the top says what trains.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from thinc.api import Config

from ..comparison.methods import LONG_PROMPT, apply
from ..errors import Errors, PTuningError

METHOD = "prompt"
NAMED = "_prompts"  # added to the name of a config
HEADER = re.compile(r"\A(?:#.*\n)+")
HAS_LORA = re.compile("^lora_rank = [1-9]", re.MULTILINE)
# What comments say of deep prompts + LoRA, and what is true of deep prompts alone. The shares are those of MiniLM.
COMMENTS = {
    "1.5 %": "1.3 %",
    "deep prompts, LoRA, ": "deep prompts, ",
    "settings of ner.cfg": "settings of ner_prompts.cfg",
    "init ner ner.cfg": "init ner ner.cfg --prompts-only",
}
WHAT_TRAINS = f"""#
# Deep prompts alone, without LoRA: keys and values at {LONG_PROMPT} positions before every attention layer. This is
# P-Tuning v2 as published, with what was learned since.
"""


def train_prompts_only(task: str, text: str) -> str:
    """Return the text of a config in which of the adapter no LoRA trains, and longer prompts at higher rates.

    task (str): The name of the config.
    RAISES (PTuningError): P851 if the config has no LoRA to leave out.
    """
    config = Config().from_str(text, interpolate=False)
    if not HAS_LORA.search(text):
        raise PTuningError(Errors.P851.format(task=task))
    for section, name, value in _changes(config, apply(METHOD, config)):
        start = text.index(f"\n[{section}]\n")
        line = re.compile(rf"^{name} = .*$", re.MULTILINE)
        text = text[:start] + line.sub(f"{name} = {json.dumps(value)}", text[start:], count=1)
    for said, true in COMMENTS.items():
        text = text.replace(said, true)
    text = HEADER.sub(lambda found: found[0] + WHAT_TRAINS, text)
    return text.replace(f"configs/{task}.", f"configs/{task}{NAMED}.")


def _changes(before: dict[str, Any], after: dict[str, Any], section: str = "") -> Iterator[tuple[str, str, Any]]:
    """Return the section, the name and the new value of each setting that differs."""
    for name, value in after.items():
        if isinstance(value, dict):
            yield from _changes(before[name], value, f"{section}.{name}".lstrip("."))
        elif value != before[name]:
            yield section, name, value
