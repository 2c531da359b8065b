"""The parts of the trained parameters, each with its own learning rate and count.

A trained tensor is named MODULE.NAME; it belongs to the head unless its module is one of the other parts.
"""

from __future__ import annotations

BYTES_PER_NUMBER = 4  # everything trained is float32
ADAPTER_PARTS = ("prompt", "lora", "scalar_mix", "word_shape")
PARTS = (*ADAPTER_PARTS, "head")


def part_of(name: str) -> str:
    """Return the part that a tensor of this name belongs to: "prompt.values" -> "prompt", "W" -> "head"."""
    module = name.split(".", 1)[0]
    return module if module in PARTS else "head"
