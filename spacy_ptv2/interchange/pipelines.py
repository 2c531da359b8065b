"""From a foreign prompt to a spaCy pipeline, and back."""

from __future__ import annotations

import warnings
from pathlib import Path

import spacy
from spacy.language import Language

from ..backbones.registry import get_backbone
from ..backbones.source import BackboneSource
from ..bridge.adapter_shim import AdapterShim
from ..bridge.window_encoding import WindowEncoding
from ..errors import Errors, FormatError, Warnings
from ..options import WindowOptions
from ..serialization.models import adapter_shims
from .formats import FORMATS, read_foreign, write_foreign
from .portable import to_prompt

COMPONENT = "transformer"


def import_adapter(path: Path, backbone: str | None = None, lang: str = "en") -> Language:
    """Build a pipeline of one component, a `ptuning_transformer` with the prompt of another library.

    path (Path): A folder, or a safetensors file. backbone (str | None): The hub id or folder of the model that it was
    trained on, None to take the name in the file. lang (str): The language of the pipeline.
    RETURNS (Language): Source its component "transformer" into a training config, and train a head on it.
    RAISES (FormatError): P501-P504, P506. RAISES (BackboneError): If the backbone is missing or unsupported.
    RAISES (PTuningError): P212 if the prompt leaves no room for text.
    """
    foreign = read_foreign(path)
    name = backbone or foreign.backbone
    if name is None:
        raise FormatError(Errors.P506.format(path=path))
    prompt = to_prompt(foreign, get_backbone(BackboneSource(name)), path)
    nlp = spacy.blank(lang)
    model = {
        "@architectures": "spacy_ptv2.Tok2VecPTuning.v1",
        "backbone": {"@misc": "spacy_ptv2.Backbone.v1", "name": name},
        "adapter": {
            "@misc": "spacy_ptv2.Adapter.v1",
            "prompt": {
                "@misc": "spacy_ptv2.Prompt.v1",
                "length": prompt.longest,
                "layers": list(prompt.layers),
                "shift_positions": foreign.shift_positions,
            },
            "lora_rank": 0,
            "scalar_mix": False,
            "word_shape": False,
        },
    }
    nlp.add_pipe("ptuning_transformer", name=COMPONENT, config={"model": model})
    nlp.initialize(lambda: [])
    (shim,) = adapter_shims(nlp.get_pipe(COMPONENT).model)  # type: ignore[attr-defined]
    shim.set_prompt(prompt)
    WindowEncoding(WindowOptions()).limits(shim.encoder)  # refuses a prompt that leaves no room for text
    return nlp


def export_adapter(nlp: Language, folder: Path, format_name: str, component: str | None = None) -> AdapterShim:
    """Write the prompt of a pipeline as another library wants it.

    format_name (str): "peft", "thudm" or "adapters". component (str | None): The component that has the prompt, None if
    only one has. RETURNS (AdapterShim): Where it was found.
    RAISES (FormatError): P505 (no place for such a prompt), P507 (no prompt, or several), P508 (unknown format).
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
    write_foreign(shim.encoder.prompt, shim.backbone, form, folder)
    lost = shim.encoder.beside_the_prompt
    if shim.encoder.shift_positions != form.shifts_positions:
        lost = [*lost, "positions " + ("behind the prompt" if shim.encoder.shift_positions else "that start at 0")]
    if lost:
        warnings.warn(Warnings.PW04.format(format=format_name, lost=", ".join(lost)), stacklevel=2)
    return shim
