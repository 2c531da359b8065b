"""What a backbone's config.json says, read without its weights.

How a model is called is said by its caller: the form of what it returns, caches, checkpoints. A config may say that,
too, and whatever it says there is set to what the rest of this package expects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import BackboneError
from .source import BackboneSource

# Calls of a backbone return its last states and, where they say so, those of all layers; nothing else, in this form.
OUTPUTS = {"output_attentions": False, "output_hidden_states": False}
# These change no state, whatever they are: attention is chosen by `attention`, checkpoints by `gradient_checkpointing`.
WITHOUT_EFFECT = {
    "return_dict": True,
    "torchscript": False,
    "use_cache": False,
    "gradient_checkpointing": False,
    "reference_compile": False,
    "tie_encoder_decoder": False,
    "attn_implementation": None,
    "_attn_implementation": None,
}


def settle_calls(config: Any) -> Any:
    """Return a config of transformers with all that is about calls set, in place, to what is expected here."""
    for name, value in (OUTPUTS | WITHOUT_EFFECT).items():
        if hasattr(config, name):
            setattr(config, name, value)
    return config


def call_model(model: Any, *, all_states: bool = False, **inputs: Any) -> Any:
    """Return what a model of transformers makes of its inputs, whatever its config says by now about outputs.

    all_states (bool): Return the states of all layers, too. RETURNS: `last_hidden_state`, and `hidden_states` or None.
    """
    return model(**inputs, output_hidden_states=all_states, output_attentions=False, return_dict=True)


def asked_in_vain(wanted: Mapping[str, Any], config: Any | None) -> dict[str, Any]:
    """Return those of some settings that a model neither has nor can get.

    wanted (Mapping[str, Any]): By name, as in a config.json. config: That of the model, None where it is not known:
    then only the outputs are looked at.
    """
    settings = {name: value for name, value in wanted.items() if name not in WITHOUT_EFFECT}
    present = {name: OUTPUTS.get(name, getattr(config, name, None)) for name in settings}
    return {
        name: value
        for name, value in settings.items()
        if value != present[name] and (config is not None or name in OUTPUTS)
    }


def find_config(source: BackboneSource) -> Any | None:
    """Return the config of the backbone that this machine offers first, None where it offers none that can be read.

    Neither the weights nor the network are touched.
    """
    from .loading import read_model_config
    from .lookup import Search
    from .sealing import sealed

    try:
        for candidate in Search(replace(source, allow_download=False), None).candidates():
            if (candidate.path / "config.json").is_file():
                with sealed(candidate.path) as folder:
                    return read_model_config(folder)
    except Exception:  # a damaged file fails in many ways, and loading says why
        return None
    return None


def find_width(source: BackboneSource) -> int | None:
    """Return the width of the hidden states of the backbone that this machine offers first, None as `find_config`."""
    from ..injection.families import find_family

    config = find_config(source)
    if config is None:
        return None
    try:
        return find_family(config, source.name).hidden_width(config)
    except BackboneError:
        return None
