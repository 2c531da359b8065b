"""The file formats of other libraries: how they are recognised, read and written.

There is one `PromptFormat` per library for prompts; LoRA is in `peft_lora.py`. Only safetensors are read. For pickled
weights the error says how to convert them.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import load_file, save_file

from ..adapters.prompt import PromptEncoder
from ..backbones.backbone import Backbone
from ..errors import Errors, FormatError
from ..reading import is_file, read_object
from . import peft_lora
from .lora import ForeignLoRA
from .portable import ForeignPrompt, prompted_layers, require_all_layers, rows_of_encoder, to_rows

Contents = tuple[dict[str, Any] | None, dict[str, torch.Tensor]]  # config, None for formats without one, and tensors

CONFIG_FILE = "adapter_config.json"
PICKLED = (".bin", ".pt", ".pth", ".ckpt")


class PromptFormat(ABC):
    """How one library stores a prompt in a folder.

    name (str): The name on the command line. weights_file (str): The file that is written.
    shifts_positions (bool): Whether the library counts the positions of the pieces from after the prompt.
    """

    name: ClassVar[str]
    weights_file: ClassVar[str]
    shifts_positions: ClassVar[bool]

    @abstractmethod
    def read(self, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], path: Path) -> ForeignPrompt | None:
        """Return the prompt in a folder's config and tensors, or None if they are not of this format.

        RAISES (FormatError): P504 if they use a feature without a counterpart here.
        """

    @abstractmethod
    def write(self, prompt: PromptEncoder, backbone: Backbone) -> Contents:
        """Return the content of a folder for a prompt.

        RAISES (FormatError): P505 if the format cannot hold such a prompt.
        """


class PeftFormat(PromptFormat):
    """A saved prefix-tuning adapter of huggingface/peft, or the state dict of its `PrefixEncoder`."""

    name = "peft"
    weights_file = "adapter_model.safetensors"
    shifts_positions = True

    def read(self, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], path: Path) -> ForeignPrompt | None:
        """See `PromptFormat.read`. PEFT folds its MLP when it saves an adapter, but a raw state dict may have it."""
        if config.get("peft_type") != "PREFIX_TUNING":
            return None
        if config.get("num_transformer_submodules") not in (None, 1):
            raise FormatError(Errors.P504.format(path=path, feature="prefixes for an encoder and a decoder"))
        rows = tensors.get("prompt_embeddings")
        if rows is None:
            stem = next((name.removesuffix("embedding.weight") for name in tensors if "embedding.weight" in name), "")
            rows = rows_of_encoder(tensors, f"{stem}embedding.weight", f"{stem}transform")
        if rows is None:
            return None
        return ForeignPrompt(rows, self.shifts_positions, backbone=config.get("base_model_name_or_path"))

    def write(self, prompt: PromptEncoder, backbone: Backbone) -> Contents:
        """See `PromptFormat.write`."""
        require_all_layers(prompt, backbone.n_layers, self.name)
        config = {
            "peft_type": "PREFIX_TUNING",
            "task_type": "FEATURE_EXTRACTION",
            "base_model_name_or_path": backbone.source.name,
            "revision": backbone.source.revision,
            "inference_mode": True,
            "num_virtual_tokens": prompt.longest,
            "token_dim": backbone.key_width,
            "num_transformer_submodules": 1,
            "num_attention_heads": backbone.n_key_heads,
            "num_layers": backbone.n_layers,
            "encoder_hidden_size": None,
            "prefix_projection": False,
        }
        return config, {"prompt_embeddings": to_rows(prompt, self.name)}


class ThudmFormat(PromptFormat):
    """The `prefix_encoder` in a state dict saved from THUDM/P-tuning-v2. The rest of the dict is ignored."""

    name = "thudm"
    weights_file = "model.safetensors"
    shifts_positions = True

    def read(self, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], path: Path) -> ForeignPrompt | None:
        """See `PromptFormat.read`."""
        rows = rows_of_encoder(tensors, "prefix_encoder.embedding.weight", "prefix_encoder.trans")
        return None if rows is None else ForeignPrompt(rows, self.shifts_positions)

    def write(self, prompt: PromptEncoder, backbone: Backbone) -> Contents:
        """See `PromptFormat.write`."""
        require_all_layers(prompt, backbone.n_layers, self.name)
        return None, {"prefix_encoder.embedding.weight": to_rows(prompt, self.name)}


class AdaptersFormat(PromptFormat):
    """A prefix-tuning adapter of adapter-hub/adapters."""

    name = "adapters"
    weights_file = "adapter.safetensors"
    shifts_positions = False

    def read(self, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], path: Path) -> ForeignPrompt | None:
        """See `PromptFormat.read`."""
        settings = config.get("config")
        if not isinstance(settings, dict) or settings.get("architecture") != "prefix_tuning":
            return None
        if settings.get("use_gating"):
            raise FormatError(Errors.P504.format(path=path, feature="gating of the prefix (use_gating)"))
        if settings.get("non_linearity", "tanh") != "tanh":
            raise FormatError(Errors.P504.format(path=path, feature=f"the MLP with {settings['non_linearity']}"))
        stem = f"prefix_tuning.prefix_tunings.{config.get('name')}.self_prefix"
        flat = tensors.get(f"{stem}.control_trans")
        if flat is not None:
            rows: torch.Tensor | None = flat.view(settings["prefix_length"], -1)
        else:
            rows = rows_of_encoder(tensors, f"{stem}.wte.weight", f"{stem}.control_trans")
        if rows is None:
            return None
        without = tuple(settings.get("leave_out") or ())
        return ForeignPrompt(
            rows, self.shifts_positions, without_layers=without, backbone=config.get("model_name") or None
        )

    def write(self, prompt: PromptEncoder, backbone: Backbone) -> Contents:
        """See `PromptFormat.write`."""
        rows, layers = to_rows(prompt, self.name), prompted_layers(prompt)
        name = "spacy_ptv2"
        config = {
            "config": {
                "architecture": "prefix_tuning",
                "flat": True,
                "prefix_length": prompt.longest,
                "leave_out": [layer for layer in range(backbone.n_layers) if layer not in layers],
                "encoder_prefix": True,
                "cross_prefix": False,
                "dropout": 0.0,
                "use_gating": False,
            },
            "hidden_size": backbone.hidden_width,
            "model_type": backbone.model.config.model_type,
            "model_name": backbone.source.name,
            "name": name,
        }
        return config, {f"prefix_tuning.prefix_tunings.{name}.self_prefix.control_trans": rows.flatten()}


FORMATS: dict[str, PromptFormat] = {form.name: form for form in (PeftFormat(), ThudmFormat(), AdaptersFormat())}


def read_foreign(path: Path) -> ForeignPrompt | ForeignLoRA:
    """Read a prompt or LoRA from a folder in any known format, or from a safetensors file next to its config.

    RAISES (FormatError): P501 (unknown format), P502 (only pickled weights), P504 (a feature without a counterpart).
    """
    folder = path if path.is_dir() else path.parent
    weights = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    weights = [file for file in weights if file.suffix == ".safetensors" and file.is_file()]
    if not weights:
        pickled = [file.name for file in sorted(folder.glob("*")) if file.suffix in PICKLED]
        if pickled:
            raise FormatError(Errors.P502.format(path=path, found=", ".join(pickled)))
        raise _unknown(path, "there are no safetensors")
    config = _read_json(folder / CONFIG_FILE)
    for file in weights:
        try:
            foreign = _read_tensors(config, load_file(file), file)
        except FormatError:
            raise
        except Exception as error:  # a file that departs from its format may fail anywhere
            raise _unknown(file, f"{type(error).__name__}: {error}"[:500]) from error
        if foreign is None:
            continue
        if foreign.problem is not None:
            raise _unknown(file, foreign.problem)
        return foreign
    kind = "" if "peft_type" not in config else f" (its peft_type is {config['peft_type']!r:.100})"
    raise _unknown(path, f"no tensors of a prompt or of LoRA in it{kind}")


def _read_tensors(
    config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], path: Path
) -> ForeignPrompt | ForeignLoRA | None:
    readers = (*(form.read for form in FORMATS.values()), peft_lora.read_lora)
    reading = (read(config, tensors, path) for read in readers)
    return next((foreign for foreign in reading if foreign is not None), None)


def write_foreign(folder: Path, form: PromptFormat, prompt: Contents | None, lora: Contents | None) -> None:
    """Write the contents for a prompt, for LoRA, or for both, then each to a folder of its own."""
    parts = {
        name: (contents, file)
        for name, contents, file in (
            ("prompt", prompt, form.weights_file),
            ("lora", lora, peft_lora.WEIGHTS_FILE),
        )
        if contents is not None
    }
    for name, ((config, tensors), file) in parts.items():
        place = folder / name if len(parts) > 1 else folder
        place.mkdir(parents=True, exist_ok=True)
        if config is not None:
            (place / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf8")
        save_file({key: tensor.cpu() for key, tensor in tensors.items()}, place / file)


def _read_json(path: Path) -> dict[str, Any]:
    if not is_file(path):
        return {}
    try:
        return read_object(path)
    except (OSError, ValueError) as error:
        raise _unknown(path, f"not JSON ({error})") from error


def _unknown(path: Path, problem: str) -> FormatError:
    return FormatError(Errors.P501.format(path=path, problem=problem, formats=", ".join(FORMATS)))
