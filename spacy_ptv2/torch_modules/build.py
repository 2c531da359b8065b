"""From options to a `PromptedEncoder`: the one place that checks them against the backbone."""

from __future__ import annotations

from typing import Any

from ..backbones.backbone import Backbone
from ..backbones.precision import is_fast_in_bfloat16
from ..errors import Errors, PTuningError
from ..options import EncoderOptions, PromptOptions, Switch
from .adapter import LowRankAdapter
from .layer_mix import LayerMix
from .prompt_encoder import FlatPrompt, MLPPrompt, PromptEncoder
from .prompt_starts import start_prompt
from .prompted_encoder import PromptedEncoder
from .state_cache import StateCache


def build_prompted_encoder(
    backbone: Backbone, prompt: PromptOptions, options: EncoderOptions, *, n_casing_classes: int
) -> PromptedEncoder:
    """Build the trainable modules around a backbone, the prompt at its start.

    RAISES (PTuningError): P201, P202, P204, P208, P209, P211, P213, P214, P407 for options that do not fit.
    """
    mixed_precision = resolve_switch(options.mixed_precision, is_fast_in_bfloat16(backbone.device), Errors.P208)
    use_casing = resolve_switch(options.casing, drops_case(backbone), Errors.P209)
    built = build_prompt(backbone, prompt).to(backbone.device)
    first = min(built.layers, default=0)
    encoder = PromptedEncoder(
        backbone=backbone,
        prompt=built,
        adapter=build_adapter(backbone, built.layers, options.adapter_rank),
        layer_mix=LayerMix(backbone.n_layers + 1) if options.layer_mix else None,
        backbone_dropout=options.backbone_dropout,
        attention_dropout=options.attention_dropout,
        shift_positions=prompt.shift_positions,
        autocast=mixed_precision and backbone.precision == "float32",
        checkpointing=options.gradient_checkpointing,
        state_cache=build_state_cache(options),
        engine=options.engine,
    )
    if use_casing:
        encoder.place_casing(first or None if options.casing_place == "prompt" else None, n_casing_classes)
    return encoder.to(backbone.device)


def build_state_cache(options: EncoderOptions) -> StateCache | None:
    """Build the cache that the options ask for, None for none.

    RAISES (PTuningError): P213 for a negative size.
    """
    sizes = (options.state_cache_mb, options.state_cache_disk_mb)
    if min(sizes) < 0:
        raise PTuningError(Errors.P213.format(got=sizes))
    memory_bytes, disk_bytes = (size << 20 for size in sizes)
    return StateCache(memory_bytes=memory_bytes, disk_bytes=disk_bytes) if any(sizes) else None


def build_prompt(backbone: Backbone, options: PromptOptions) -> PromptEncoder:
    """Build a prompt for a backbone, started as the options say."""
    n_layers = backbone.n_layers
    layers = tuple(range(n_layers)) if options.layers is None else tuple(options.layers)
    if not all(0 <= layer < n_layers for layer in layers):
        raise PTuningError(Errors.P201.format(last=n_layers - 1, n_layers=n_layers, got=list(layers)))
    lengths = (options.length,) * len(layers) if isinstance(options.length, int) else options.length
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
    start_prompt(flat, options.start, backbone)
    return flat


def build_adapter(backbone: Backbone, layers: tuple[int, ...], rank: int) -> LowRankAdapter | None:
    """Build an adapter for some layers of a backbone, None for none.

    RAISES (PTuningError): P214 if the layers are not alike, P407 for a negative rank.
    """
    if rank < 0:
        raise PTuningError(Errors.P407.format(name="adapter_rank", expected="at least 0", got=rank))
    if not rank:
        return None
    widths, *others = backbone.linear_widths
    for layer, own in enumerate(others, start=1):
        if own != widths:
            raise PTuningError(Errors.P214.format(layer=layer, got=own, expected=widths))
    return LowRankAdapter(layers=layers, rank=rank, widths=widths)


def drops_case(backbone: Backbone) -> bool:
    """Return whether the tokenizer makes no difference between upper and lower case."""
    upper, lower = (backbone.tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("PARIS", "paris"))
    return bool(upper == lower)


def resolve_switch(value: Switch, automatic: bool, error: Errors) -> bool:
    """Return a true/false/"auto" setting as a bool."""
    if value == "auto":
        return automatic
    if not isinstance(value, bool):
        raise PTuningError(error.format(got=value))
    return value
