"""What a backbone's config.json says, read without its weights.

How a model is called is up to its caller: the form of its outputs, caches, checkpoints. A config may set that, too.
Such settings are overwritten with what the rest of this package expects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import BackboneError
from .source import BackboneSource

# A backbone returns its last hidden states and, where the call asks for them, those of all layers. Nothing else.
OUTPUTS = {"output_attentions": False, "output_hidden_states": False}
# These never change hidden states: `attention` chooses the attention, `gradient_checkpointing` the checkpoints.
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
    """Set everything in a transformers config that is about calls to what this package expects, and return it."""
    for name, value in (OUTPUTS | WITHOUT_EFFECT).items():
        if hasattr(config, name):
            setattr(config, name, value)
    return config


def call_model(model: Any, *, all_states: bool = False, **inputs: Any) -> Any:
    """Call a transformers model, whatever its config now says about outputs.

    all_states (bool): Also return the hidden states of all layers.
    RETURNS: `last_hidden_state`, and `hidden_states` or None.
    """
    return model(**inputs, output_hidden_states=all_states, output_attentions=False, return_dict=True)


def asked_in_vain(wanted: Mapping[str, Any], config: Any | None) -> dict[str, Any]:
    """Return the settings that were asked for and that a model neither has nor can get.

    wanted (Mapping[str, Any]): Settings by name, as in a config.json.
    config (Any | None): The model's config; None if it is unknown, and then only settings of outputs are checked.
    """
    settings = {name: value for name, value in wanted.items() if name not in WITHOUT_EFFECT}
    present = {name: OUTPUTS.get(name, getattr(config, name, None)) for name in settings}
    return {
        name: value
        for name, value in settings.items()
        if value != present[name] and (config is not None or name in OUTPUTS)
    }


def find_config(source: BackboneSource) -> Any | None:
    """Return the config of the first backbone that this machine offers, None if there is none that can be read.

    Neither the weights nor the network are touched.
    """
    from .loading import read_model_config
    from .sealing import sealed

    try:
        path = _find_folder(source)
        if path is not None:
            with sealed(path) as folder:
                return read_model_config(folder)
    except Exception:  # a damaged file fails in many ways; loading reports the reason
        return None
    return None


def _find_folder(source: BackboneSource) -> Path | None:
    from .lookup import Search

    found = Search(replace(source, allow_download=False), None).candidates()
    return next((candidate.path for candidate in found if (candidate.path / "config.json").is_file()), None)


def find_width(source: BackboneSource) -> int | None:
    """Return the hidden width of the first backbone that this machine offers, None where `find_config` finds none."""
    known = _known_width(source)
    if known is not None:
        return known
    from ..injection.families import find_family

    config = find_config(source)
    if config is None:
        return None
    try:
        return find_family(config, source.name).hidden_width(config)
    except BackboneError:
        return None


def _known_width(source: BackboneSource) -> int | None:
    """Return the hidden width that is known without the code of the model's family."""
    from .fingerprint import fingerprint_folder
    from .sizes import recall_sizes

    try:
        path = _find_folder(source)
        sizes = None if path is None else recall_sizes(source, fingerprint_folder(path))
    except Exception:  # as above
        return None
    return None if sizes is None else sizes.hidden_width
