"""Everything under ``@architectures`` and ``@misc`` that a config may name.

Two ways in for a prompt-tuned backbone: `TransformerModel.v1` where `spacy-transformers.TransformerModel.v3` stood,
and `Tok2VecPTuning.v1` as a tok2vec inside one component or as the model of the factory `ptuning_transformer`.

Layers are imported when one is built: they load torch and transformers, which a config that is only read does not need.
"""

import warnings
from collections.abc import Mapping
from dataclasses import fields
from importlib.util import find_spec
from typing import Any, TypeVar, cast

from spacy.tokens import Doc
from thinc.api import Dropout, Linear, Model, chain, reduce_first, with_array
from thinc.types import Floats2d, Ragged

from .backbones.source import AttentionKind, BackboneSource, Quantization, Verification
from .errors import Errors, PTuningError, Warnings
from .options import (
    EncoderOptions,
    EngineName,
    NormalStart,
    Pieces,
    Precision,
    PromptOptions,
    PromptStart,
    Switch,
    WindowOptions,
    WordShapePlace,
    WordStart,
)
from .types import SpanGetter, Tok2VecModel, TransformerLayer

OptionsT = TypeVar("OptionsT", BackboneSource, EncoderOptions, WindowOptions)


def build_backbone_v1(
    name: str,
    revision: str | None = None,
    path: str | None = None,
    allow_download: bool = False,
    dtype: Precision = "auto",
    attention: AttentionKind = "sdpa",
    quantization: Quantization | None = None,
    verify: Verification = "strict",
) -> BackboneSource:
    """Say which frozen model to use, and how; see `BackboneSource`. Nothing is loaded yet."""
    return _pick(BackboneSource, locals())


def build_prompt_v1(
    length: int | list[int] = 8,
    layers: list[int] | None = None,
    dropout: float = 0.1,
    start: PromptStart | None = None,
    mlp_width: int | None = None,
    shift_positions: bool = False,
    dropout_per_row: bool = False,
) -> PromptOptions:
    """Say what the prompt is; see `PromptOptions`.

    RAISES (PTuningError): P202, P407 for impossible values.
    """
    if min([length] if isinstance(length, int) else length, default=0) < 0:
        raise PTuningError(Errors.P202.format(got=length))
    if not 0.0 <= dropout < 1.0:
        raise PTuningError(Errors.P407.format(name="prompt dropout", expected="at least 0 and below 1", got=dropout))
    if mlp_width is not None and mlp_width < 1:
        raise PTuningError(Errors.P407.format(name="mlp_width", expected="null or at least 1", got=mlp_width))
    return PromptOptions(
        length=length if isinstance(length, int) else tuple(length),
        layers=None if layers is None else tuple(layers),
        dropout=dropout,
        dropout_per_row=dropout_per_row,
        start=NormalStart() if start is None else start,
        mlp_width=mlp_width,
        shift_positions=shift_positions,
    )


def build_normal_start_v1(deviation: float = 1.0) -> NormalStart:
    """Start the prompt from N(0, deviation)."""
    return NormalStart(deviation=deviation)


def build_word_start_v1(text: str) -> WordStart:
    """Start the prompt from the keys and values of the pieces of a text."""
    return WordStart(text=text)


def build_tok2vec_ptuning_v1(
    backbone: BackboneSource,
    prompt: PromptOptions,
    pooling: Model[Ragged, Floats2d] | None = None,
    lora_rank: int = 7,
    scalar_mix: bool = True,
    word_shape: Switch = "auto",
    backbone_dropout: bool = True,
    attention_dropout: bool = False,
    mixed_precision: Switch = "auto",
    gradient_checkpointing: bool = False,
    word_shape_place: WordShapePlace = "pieces",
    hidden_state_cache_mb: int = 0,
    hidden_state_cache_disk_mb: int = 0,
    engine: EngineName = "auto",
    window: Pieces | None = "auto",
    overlap: Pieces = "auto",
    batch_pieces: int = 4096,
) -> Tok2VecModel:
    """Build a tok2vec over a frozen backbone with a trained prompt: one vector per token.

    backbone (BackboneSource): Which model. prompt (PromptOptions): What is trained.
    pooling (Model[Ragged, Floats2d] | None): From a token's pieces to its vector; None for the first piece.
    lora_rank, scalar_mix, word_shape, backbone_dropout, attention_dropout, mixed_precision, gradient_checkpointing,
    word_shape_place, hidden_state_cache_mb, hidden_state_cache_disk_mb, engine: See `EncoderOptions`.
    window, overlap, batch_pieces: See `WindowOptions`.
    RETURNS (Model[list[Doc], list[Floats2d]]): The layer; nO is the backbone's hidden width.
    """
    settings = locals()
    from .bridge.adapter_shim import AdapterShim
    from .bridge.window_encoding import WindowEncoding
    from .layers.tok2vec_ptuning import Tok2VecPTuning

    shim = AdapterShim(backbone, prompt, _pick(EncoderOptions, settings))
    return Tok2VecPTuning(shim, pooling or reduce_first(), WindowEncoding(_pick(WindowOptions, settings)))


def build_transformer_model_v1(
    name: str,
    get_spans: SpanGetter | None = None,
    tokenizer_config: dict[str, Any] = {},  # noqa: B006 (never changed; the signature is the config's)
    transformer_config: dict[str, Any] = {},  # noqa: B006
    mixed_precision: Switch = False,
    grad_scaler_config: dict[str, Any] = {},  # noqa: B006
    revision: str | None = None,
    path: str | None = None,
    allow_download: bool = False,
    dtype: Precision = "auto",
    attention: AttentionKind = "sdpa",
    quantization: Quantization | None = None,
    verify: Verification = "strict",
    prompt: PromptOptions | None = None,
    lora_rank: int = 7,
    scalar_mix: bool = True,
    word_shape: Switch = "auto",
    backbone_dropout: bool = True,
    attention_dropout: bool = False,
    gradient_checkpointing: bool = False,
    word_shape_place: WordShapePlace = "pieces",
    hidden_state_cache_mb: int = 0,
    hidden_state_cache_disk_mb: int = 0,
    engine: EngineName = "auto",
    window: Pieces | None = "auto",
    overlap: Pieces = "auto",
    batch_pieces: int = 4096,
) -> TransformerLayer:
    """Build the drop-in for `spacy-transformers.TransformerModel.v3`: the same keys, then ours, all with defaults.

    name, get_spans: As there; get_spans may be left out, then windows are cut over pieces with overlap. Stretches that
    it gives are cut only where they are longer than `window`.
    tokenizer_config, transformer_config, grad_scaler_config: Accepted as there as far as they make sense for a frozen,
    shared backbone; what would make another model of it is refused (P207, P210), what has no effect is warned of (PW02,
    PW03).
    The rest: See `BackboneSource`, `PromptOptions`, `EncoderOptions`, `WindowOptions`.
    RETURNS (Model[list[Doc], FullTransformerBatch]): The layer; nO is the backbone's hidden width.
    RAISES (PTuningError): P215 without spacy-transformers, P207, P210.
    """
    settings = locals()
    _require_spacy_transformers()
    from .bridge.adapter_shim import AdapterShim
    from .bridge.window_encoding import WindowEncoding
    from .layers.transformer_model import TransformerModel

    _check_hf_settings(tokenizer_config, transformer_config, grad_scaler_config)
    source, options = _pick(BackboneSource, settings), _pick(EncoderOptions, settings)
    windows = WindowEncoding(_pick(WindowOptions, settings), get_spans)
    shim = AdapterShim(source, prompt or PromptOptions(), options)
    return TransformerModel(shim, windows, transformer_config)


def build_replaced_transformer_listener_v1(
    transformer: TransformerLayer, pooling: Model[Ragged, Floats2d], grad_factor: float = 1.0
) -> Tok2VecModel:
    """Build what `nlp.replace_listeners` leaves in a component: the transformer itself where its listener stood.

    RAISES (PTuningError): P215 without spacy-transformers.
    """
    _require_spacy_transformers()
    from spacy_transformers.layers import trfs2arrays

    from .layers.transformer_model import replace_listener

    return cast(Tok2VecModel, chain(replace_listener(transformer), trfs2arrays(pooling, grad_factor)))


def build_ptuning_listener_v1(upstream: str = "*", width: int | None = None) -> Tok2VecModel:
    """Build the layer that takes its vectors from a `ptuning_transformer` component earlier in the pipeline.

    upstream (str): The name of that component, "*" for any. width (int | None): nO, the backbone's hidden width, for
    architectures that ask for it while they are built, as that of entity_linker; None to take it over from upstream.
    """
    from .layers.listener import PTuningListener

    return PTuningListener(upstream, width)


def build_token_classifier_v1(
    tok2vec: Tok2VecModel, dropout: float = 0.1, nO: int | None = None
) -> Model[list[Doc], list[Floats2d]]:
    """Build the head of the paper: one linear layer over token vectors (Liu et al. 2021, section 3.3).

    dropout (float): On the token vectors; `[training] dropout` overrides it in training.
    nO (int | None): Number of tags, set from the labels. RETURNS: Docs to logits, Shape of each: (n_tokens, nO)
    """
    head: Model[Floats2d, Floats2d] = chain(Dropout(dropout), Linear(nO=nO))
    model: Model[list[Doc], list[Floats2d]] = chain(tok2vec, with_array(head))
    model.set_ref("tok2vec", tok2vec)
    model.set_ref("output_layer", head.layers[-1])
    return model


def _pick(kind: type[OptionsT], settings: Mapping[str, Any]) -> OptionsT:
    """Build options from the arguments of a function that have the names of their fields."""
    return kind(**{field.name: settings[field.name] for field in fields(kind)})


def _require_spacy_transformers() -> None:
    if find_spec("spacy_transformers") is None:
        raise PTuningError(Errors.P215)


def _check_hf_settings(tokenizer: dict[str, Any], transformer: dict[str, Any], scaler: dict[str, Any]) -> None:
    for where, block in (("tokenizer_config", tokenizer), ("transformer_config", transformer)):
        if block.get("trust_remote_code"):
            raise PTuningError(Errors.P210.format(where=where))
    if {key: value for key, value in tokenizer.items() if (key, value) != ("use_fast", True)}:
        warnings.warn(Warnings.PW03.format(got=tokenizer), stacklevel=3)
    if scaler:
        warnings.warn(Warnings.PW02, stacklevel=3)
