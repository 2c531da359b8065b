"""Builds an `AdaptedEncoder` from options. The only place that checks options against a backbone."""

from __future__ import annotations

from typing import Any

from ..backbones.backbone import Backbone
from ..backbones.precision import is_fast_in_bfloat16
from ..errors import Errors, PTuningError
from ..options import AdapterOptions, NormalStart, PromptOptions, RuntimeOptions, Switch
from .encoder import AdaptedEncoder
from .hidden_state_cache import HiddenStateCache
from .lora import LoRA
from .prompt import FlatPrompt, MLPPrompt, PromptEncoder
from .prompt_starts import start_prompt
from .scalar_mix import ScalarMix

# In each script with two cases; a tokenizer without the pieces of a script has nothing but unknown ones for its word.
CASED_WORDS = ("paris", "москва", "αθηνα", "երևան")


def build_encoder(
    backbone: Backbone, adapter: AdapterOptions, runtime: RuntimeOptions, *, n_word_shapes: int
) -> AdaptedEncoder:
    """Build a backbone's encoder with freshly initialised trainable modules.

    RAISES (PTuningError): P201, P204, P211, P214 for options that do not fit the backbone.
    """
    options = adapter.prompt or PromptOptions()
    mixed_precision = resolve_switch(runtime.mixed_precision, is_fast_in_bfloat16(backbone.device))
    prompt = build_prompt(backbone, options).to(backbone.device)
    encoder = AdaptedEncoder(
        backbone=backbone,
        prompt=prompt,
        lora=build_lora(backbone, prompt.layers, adapter.lora_rank),
        scalar_mix=ScalarMix(backbone.n_layers + 1) if adapter.scalar_mix else None,
        shift_positions=options.shift_positions,
        autocast=mixed_precision and backbone.precision == "float32",
        hidden_state_cache=build_hidden_state_cache(runtime),
        runtime=runtime,
    )
    if resolve_switch(adapter.word_shape, drops_case(backbone)):
        first = min(prompt.layers, default=0)
        encoder.place_word_shape(first or None if adapter.word_shape_place == "prompt" else None, n_word_shapes)
    return encoder.to(backbone.device)


def build_hidden_state_cache(runtime: RuntimeOptions) -> HiddenStateCache | None:
    """Build the cache that the options ask for, or return None if they ask for none."""
    sizes = (runtime.hidden_state_cache_mb, runtime.hidden_state_cache_disk_mb)
    memory_bytes, disk_bytes = (size << 20 for size in sizes)
    return HiddenStateCache(memory_bytes=memory_bytes, disk_bytes=disk_bytes) if any(sizes) else None


def build_prompt(backbone: Backbone, options: PromptOptions) -> PromptEncoder:
    """Build a prompt for a backbone, initialised as the options say."""
    n_layers = backbone.n_layers
    layers = tuple(range(n_layers)) if options.layers is None else tuple(options.layers)
    if not all(0 <= layer < n_layers for layer in layers):
        raise PTuningError(Errors.P201.format(last=n_layers - 1, n_layers=n_layers, got=list(layers)))
    lengths = (options.length,) * len(layers) if isinstance(options.length, int) else tuple(options.length)
    settings: dict[str, Any] = {
        "layers": layers,
        "lengths": lengths,
        "width": backbone.key_width,
        "dropout": options.dropout,
        "dropout_per_row": options.dropout_per_row,
    }
    if options.mlp_width is not None:
        return MLPPrompt(**settings, mlp_width=options.mlp_width)
    flat = FlatPrompt(**settings)
    start_prompt(flat, options.start or NormalStart(), backbone)
    return flat


def build_lora(backbone: Backbone, layers: tuple[int, ...], rank: int) -> LoRA | None:
    """Build LoRA for some layers of a backbone; None for rank 0.

    RAISES (PTuningError): P214 if the layers differ in their linear layers.
    """
    if not rank:
        return None
    widths, *others = backbone.linear_widths
    for layer, own in enumerate(others, start=1):
        if own != widths:
            raise PTuningError(Errors.P214.format(layer=layer, got=own, expected=widths))
    return LoRA(layers=layers, rank=rank, widths=widths)


def drops_case(backbone: Backbone) -> bool:
    """Return whether the tokenizer ignores case, in a script that it knows."""
    tokenizer = backbone.tokenizer
    pairs = (
        [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (word.upper(), word)]
        for word in CASED_WORDS
    )
    known = [(upper, lower) for upper, lower in pairs if tokenizer.unk_token_id not in upper + lower]
    return bool(known) and all(upper == lower for upper, lower in known)


def resolve_switch(value: Switch, automatic: bool) -> bool:
    """Return a true/false/"auto" setting as a bool."""
    return automatic if value == "auto" else bool(value)
