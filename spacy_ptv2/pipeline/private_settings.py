"""Settings of one machine and one user, which a saved pipeline must not carry to others.

In: the config of components. Out: the same config, with these settings at their defaults.
"""

from __future__ import annotations

from typing import Any

from spacy.language import Language

DOWNLOAD = {"allow_download": False}  # who loads a pipeline decides on the network, not who made it
PRIVATE = {"path": None, **DOWNLOAD}


def withdraw_downloads(nlp: Language | None) -> None:
    """Set `allow_download` to false in a pipeline's config before it is saved, once its layers are built."""
    for name in [] if nlp is None else nlp.component_names:
        reset(nlp.get_pipe_config(name), DOWNLOAD)  # type: ignore[union-attr]


def reset(config: dict[str, Any], defaults: dict[str, Any]) -> None:
    """Reset settings of registered functions, wherever they are in a config, to their defaults, in place."""
    is_built = "@misc" in config or "@architectures" in config
    for key, value in config.items():
        if is_built and key in defaults:
            config[key] = defaults[key]
        elif isinstance(value, dict):
            reset(value, defaults)
