"""What the shipped configs say about the settings that a migration writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..shipped import SUFFIX, read_shipped
from .blocks import walk

TOKENS, TEXTS = "ner", "textcat"  # the shipped configs whose settings are taken for heads over tokens, and over texts


@dataclass(frozen=True)
class Recipe:
    """Settings of the shipped configs. Each is a copy of one's own.

    file (str): The shipped config that `windows` and `training` are from.
    component (dict): The block of a `ptuning_transformer`.
    listener (dict): The block of a listener.
    training, initialize (dict): The sections of these names.
    """

    file: str
    component: dict[str, Any]
    listener: dict[str, Any]
    training: dict[str, Any]
    initialize: dict[str, Any]


def read_recipe(task: str) -> Recipe:
    """Return the settings for one of the tasks above: all of them have the same adapter, in windows of their own."""
    tokens, own = read_shipped(TOKENS)["components"], read_shipped(task)
    windows = next(block["windows"] for _, block in walk(own["components"]) if "windows" in block)
    component = tokens["transformer"]
    component["model"]["windows"] = windows
    listener = tokens["token_classifier"]["model"]["tok2vec"]
    return Recipe(task + SUFFIX, component, listener, own["training"], own["initialize"])
