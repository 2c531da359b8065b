"""Builds a spaCy pipeline from adapters of other libraries, and writes its adapter for them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language

from ..adapters.encoder import AdaptedEncoder
from ..adapters.prompt import FlatPrompt
from ..backbones.backbone import Backbone
from ..backbones.registry import get_backbone
from ..backbones.source import BackboneSource
from ..bridge.adapter_shim import AdapterShim
from ..bridge.window_encoding import WindowEncoding
from ..errors import Errors, FormatError, Warnings
from ..options import WindowOptions
from ..serialization.models import adapter_shims
from .formats import FORMATS, PromptFormat, read_foreign, write_foreign
from .lora import ForeignLoRA, PlacedLoRA, named_matrices, place_lora, reads_positions
from .peft_lora import write_lora
from .portable import ForeignPrompt, prompted_layers, spread, to_prompt

COMPONENT = "transformer"
WITH_LORA = ("peft",)  # formats that can hold LoRA


@dataclass(frozen=True)
class ReadAdapter:
    """The content of one or two folders, for one adapter of ours.

    prompt (tuple[ForeignPrompt, Path] | None): A prompt and where it comes from.
    lora (tuple[ForeignLoRA, Path] | None): LoRA and where it comes from.
    """

    prompt: tuple[ForeignPrompt, Path] | None
    lora: tuple[ForeignLoRA, Path] | None

    def name_of_backbone(self) -> str:
        """Return the model's name in the files. RAISES (FormatError): P506, P512."""
        found = [pair for pair in (self.prompt, self.lora) if pair is not None]
        names = sorted({foreign.backbone for foreign, _ in found if foreign.backbone is not None})
        if not names:
            raise FormatError(Errors.P506.format(path=found[0][1]))
        if len(names) > 1:
            raise FormatError(Errors.P512.format(got=", ".join(names)))
        return names[0]

    def fit(self, backbone: Backbone) -> tuple[FlatPrompt, PlacedLoRA | None]:
        """Return the LoRA, and the prompt over the layers of both. RAISES (FormatError): P503, P504, P509-P513."""
        prompt = None if self.prompt is None else to_prompt(self.prompt[0], backbone, self.prompt[1])
        lora = None if self.lora is None else place_lora(self.lora[0], backbone, self.lora[1])
        layers = {*(prompt.layers if prompt else ()), *(lora.layers if lora else ())}
        return spread(prompt, sorted(layers), backbone.key_width), lora


def read_adapter(paths: Sequence[Path]) -> ReadAdapter:
    """Read a prompt, LoRA or both from folders or safetensors files.

    RAISES (FormatError): P501, P502, P504, P511.
    """
    prompts: list[tuple[ForeignPrompt, Path]] = []
    loras: list[tuple[ForeignLoRA, Path]] = []
    for path in paths:
        foreign = read_foreign(path)
        if isinstance(foreign, ForeignLoRA):
            loras.append((foreign, path))
        else:
            prompts.append((foreign, path))
    if len(prompts) > 1 or len(loras) > 1:
        raise FormatError(Errors.P511.format(got=f"{len(prompts)} prompts and {len(loras)} LoRA"))
    return ReadAdapter(*(found[0] if found else None for found in (prompts, loras)))  # type: ignore[arg-type]


def import_adapter(path: Path | Sequence[Path], backbone: str | None = None, lang: str = "en") -> Language:
    """Build a pipeline of one component, a `ptuning_transformer` with an adapter of another library.

    path (Path | Sequence[Path]): A folder or a safetensors file; two to join a prompt and LoRA in one adapter.
    backbone (str | None): The hub id or folder of the model that it was trained on; None to take the name in the file.
    lang (str): The language of the pipeline.
    RETURNS (Language): Source its component "transformer" into a training config, and train a head on it.
    RAISES (FormatError): P501-P504, P506, P509-P513. RAISES (BackboneError): If the backbone is missing or unsupported.
    RAISES (PTuningError): P212 if the prompt leaves no room for text, P214 if the backbone takes no LoRA.
    """
    read = read_adapter([path] if isinstance(path, Path) else path)
    name = backbone or read.name_of_backbone()
    loaded = get_backbone(BackboneSource(name))
    prompt, lora = read.fit(loaded)
    nlp = spacy.blank(lang)
    shift_positions = read.prompt is not None and read.prompt[0].shift_positions
    adapter = _adapter_block(prompt, 0 if lora is None else lora.rank, shift_positions)
    model = {
        "@architectures": "spacy_ptv2.Tok2VecPTuning.v1",
        "backbone": {"@misc": "spacy_ptv2.Backbone.v1", "name": name},
        "adapter": adapter,
    }
    nlp.add_pipe("ptuning_transformer", name=COMPONENT, config={"model": model})
    nlp.initialize(lambda: [])
    (shim,) = adapter_shims(nlp.get_pipe(COMPONENT).model)  # type: ignore[attr-defined]
    shim.set_prompt(prompt)
    if lora is not None and shim.encoder.lora is not None:
        lora.copy_into(shim.encoder.lora, loaded)
        if lora.left_out:
            warnings.warn(Warnings.PW18.format(lost=", ".join(lora.left_out)), stacklevel=2)
    WindowEncoding(WindowOptions()).limits(shim.encoder)  # refuses a prompt that leaves no room for text
    return nlp


def export_adapter(nlp: Language, folder: Path, format_name: str, component: str | None = None) -> AdapterShim:
    """Write the prompt and LoRA of a pipeline in the format of another library.

    folder (Path): The folder to write. With both a prompt and LoRA, it gets a subfolder for each, "prompt" and "lora".
    format_name (str): "peft", "thudm" or "adapters". Only "peft" can hold LoRA.
    component (str | None): The component that has the adapter; None if only one has.
    RETURNS (AdapterShim): The shim with the adapter.
    RAISES (FormatError): P505, P513 (the format cannot hold such an adapter), P507 (no adapter, or several), P508
        (unknown format).
    """
    form = FORMATS.get(format_name)
    if form is None:
        raise FormatError(Errors.P508.format(got=format_name, expected=", ".join(FORMATS)))
    found = {
        name: shim
        for name, pipe in nlp.pipeline
        for shim in adapter_shims(getattr(pipe, "model", None))
        if component in (None, name) and shim.is_initialized
    }
    if len(found) != 1:
        raise FormatError(Errors.P507.format(got=", ".join(found) or "none", names=", ".join(nlp.pipe_names)))
    (shim,) = found.values()
    encoder, backbone = shim.encoder, shim.backbone
    prompt = form.write(encoder.prompt, backbone) if encoder.prompt.longest else None
    lora = None if encoder.lora is None or form.name not in WITH_LORA else write_lora(encoder.lora, backbone)
    if prompt is None and lora is None:
        expected = "prompts and LoRA" if form.name in WITH_LORA else "prompts"
        raise FormatError(Errors.P505.format(format=form.name, expected=expected, got=describe(encoder)))
    write_foreign(folder, form, prompt, lora)
    lost = _lost(encoder, form)
    if lost:
        warnings.warn(Warnings.PW04.format(format=format_name, lost=", ".join(lost)), stacklevel=2)
    return shim


def describe(encoder: AdaptedEncoder, *, with_lora: bool = True) -> str:
    """Describe an encoder's prompt and LoRA, as in "8 positions in 12 layers and LoRA of rank 7 in 12 layers"."""
    prompt, lora = encoder.prompt, encoder.lora if with_lora else None
    parts = []
    if prompt.longest:
        parts.append(f"{prompt.longest} positions in {len(prompted_layers(prompt))} layers")
    if lora is not None:
        parts.append(f"LoRA of rank {lora.rank} in {len(lora.layers)} layers")
    return " and ".join(parts) or "neither prompt nor LoRA"


def _adapter_block(prompt: FlatPrompt, rank: int, shift_positions: bool) -> dict[str, Any]:
    lengths = set(prompt.lengths)
    return {
        "@misc": "spacy_ptv2.Adapter.v1",
        "prompt": {
            "@misc": "spacy_ptv2.Prompt.v1",
            "length": prompt.longest if len(lengths) == 1 else list(prompt.lengths),
            "layers": list(prompt.layers),
            "shift_positions": shift_positions,
        },
        "lora_rank": rank,
        "scalar_mix": False,
        "word_shape": False,
    }


def _lost(encoder: AdaptedEncoder, form: PromptFormat) -> list[str]:
    """Return what a format cannot hold, or reads in another way."""
    has_lora = form.name in WITH_LORA
    lost = [name for name in encoder.beside_the_prompt if name != "lora" or not has_lora]
    if encoder.prompt.longest and encoder.shift_positions != form.shifts_positions:
        lost.append("positions " + ("after the prompt" if encoder.shift_positions else "that start at 0"))
    if encoder.lora is not None and has_lora:
        names = named_matrices(encoder.lora, encoder.backbone)
        if any(reads_positions(name, encoder.backbone) for name in names):
            lost.append("LoRA that leaves relative positions alone")
    return lost
