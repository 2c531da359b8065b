"""The parts of what is trained, each with a learning rate and a count of its own.

A trained tensor is named MODULE.NAME; everything whose module is none of ours belongs to the head.
"""

from __future__ import annotations

BYTES_PER_NUMBER = 4  # everything trained is float32
PARTS = ("prompt", "lora", "scalar_mix", "word_shape", "head")


def part_of(name: str) -> str:
    """Return the part that a tensor belongs to by its name: "prompt.values" -> "prompt", "W" -> "head"."""
    module = name.split(".", 1)[0]
    return module if module in PARTS else "head"
