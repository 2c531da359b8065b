"""Everything that a config may name under ``@architectures``; see `options.py` for ``@misc``.

A frozen backbone with an adapter comes in two forms: as `TransformerModel.v1`, in place of
`spacy-transformers.TransformerModel.v3`, and as `Tok2VecPTuning.v1`, a tok2vec inside one component or the model of the
factory `ptuning_transformer`. `SequenceEncoder.v1` reads questions, predicates and pairs of texts.

Layers are imported only when one is built: they load torch and transformers, which reading a config does not need.
"""

import warnings
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, cast

from spacy.tokens import Doc
from thinc.api import Dropout, Linear, Model, chain, reduce_first, reduce_mean, with_array
from thinc.types import Floats2d, Ragged

from .alignment.encoded import RowKind
from .alignment.layouts import DocLayout
from .alignment.sequences import Layout
from .alignment.word_shape import N_WORD_SHAPES
from .backbones.source import BackboneSource
from .errors import Errors, PTuningError, Warnings
from .options import AdapterOptions, RuntimeOptions, Switch, WindowOptions
from .types import SpanGetter, Tok2VecModel, TransformerLayer


def build_tok2vec_ptuning_v1(
    backbone: BackboneSource,
    adapter: AdapterOptions | None = None,
    windows: WindowOptions | None = None,
    runtime: RuntimeOptions | None = None,
    pooling: Model[Ragged, Floats2d] | None = None,
) -> Tok2VecModel:
    """Build a tok2vec over a frozen backbone with a trained adapter: one vector per token.

    backbone (BackboneSource): Which model.
    adapter (AdapterOptions | None): What is trained inside it; None for the defaults.
    windows (WindowOptions | None): How documents are cut; None for the defaults.
    runtime (RuntimeOptions | None): How the backbone runs; None for the defaults.
    pooling (Model[Ragged, Floats2d] | None): From a token's pieces to its vector; None for the first piece.
    RETURNS (Model[list[Doc], list[Floats2d]]): The layer; nO is the backbone's hidden width.
    """
    return _encode(backbone, adapter, windows, runtime, DocLayout(), "tokens", pooling or reduce_first())


def build_sequence_encoder_v1(
    backbone: BackboneSource,
    layout: Layout,
    rows: RowKind = "tokens",
    adapter: AdapterOptions | None = None,
    windows: WindowOptions | None = None,
    runtime: RuntimeOptions | None = None,
    pooling: Model[Ragged, Floats2d] | None = None,
) -> Tok2VecModel:
    """Build an encoder of questions with their contexts, pairs of texts, predicates: one array per sequence.

    backbone, adapter, windows, runtime: As in `build_tok2vec_ptuning_v1`.
    layout (Layout): Which sequences the Docs make, as `spacy_ptv2.QuestionLayout.v1`.
    rows ("tokens" | "sequence" | "spans"): A row for each token of a sequence's body, one row for the sequence, or one
        for each marked span.
    pooling (Model[Ragged, Floats2d] | None): From the pieces of a row to its vector; None for the first piece of a
        token, the mean over the windows of a sequence, the mean over the pieces of a span.
    RETURNS (Model[list[Doc], list[Floats2d]]): The layer. Shape of each array: (n_rows, nO)
    """
    pooling = pooling or (reduce_first() if rows == "tokens" else reduce_mean())
    return _encode(backbone, adapter, windows, runtime, layout, rows, pooling)


def build_transformer_model_v1(
    name: str,
    get_spans: SpanGetter | None = None,
    tokenizer_config: dict[str, Any] = {},  # noqa: B006 (never changed; the signature is the config's)
    transformer_config: dict[str, Any] = {},  # noqa: B006
    mixed_precision: Switch | None = None,
    grad_scaler_config: dict[str, Any] = {},  # noqa: B006
    backbone: BackboneSource | None = None,
    adapter: AdapterOptions | None = None,
    windows: WindowOptions | None = None,
    runtime: RuntimeOptions | None = None,
) -> TransformerLayer:
    """Build the drop-in for `spacy-transformers.TransformerModel.v3`: the same settings, then ours with defaults.

    name (str): The backbone's hub id or folder, as there.
    get_spans (SpanGetter | None): As there. A span is cut only if it is longer than `windows.length`. None: windows
        over whole documents, with overlap.
    tokenizer_config, transformer_config, grad_scaler_config (dict): As there, as far as they make sense for a frozen,
        shared backbone. Settings that would make it another model are refused (P207, P210); those without effect are
        warned about (PW02, PW03).
    mixed_precision (bool | "auto" | None): As there; None for what `runtime` says.
    backbone (BackboneSource | None): All other settings of the backbone; its name must be `name`.
    adapter, windows, runtime: As in `build_tok2vec_ptuning_v1`.
    RETURNS (Model[list[Doc], FullTransformerBatch]): The layer; nO is the backbone's hidden width.
    RAISES (PTuningError): P215 without spacy-transformers, P207, P210, and P220 if there are two names.
    """
    _require_spacy_transformers()
    from .bridge.adapter_shim import AdapterShim
    from .bridge.window_encoding import WindowEncoding
    from .layers.transformer_model import TransformerModel

    _check_hf_settings(tokenizer_config, transformer_config, grad_scaler_config)
    source = backbone or BackboneSource(name)
    if source.name != name:
        raise PTuningError(Errors.P220.format(name=name, other=source.name))
    options = runtime or RuntimeOptions()
    if mixed_precision is not None:
        options = replace(options, mixed_precision=mixed_precision)
    shim = AdapterShim(source, adapter or AdapterOptions(), options)
    return TransformerModel(shim, WindowEncoding(windows or WindowOptions(), DocLayout(get_spans)), transformer_config)


def build_replaced_transformer_listener_v1(
    transformer: TransformerLayer, pooling: Model[Ragged, Floats2d], grad_factor: float = 1.0
) -> Tok2VecModel:
    """Build what `nlp.replace_listeners` puts into a component: the transformer itself in place of its listener.

    RAISES (PTuningError): P215 without spacy-transformers.
    """
    _require_spacy_transformers()
    from spacy_transformers.layers import trfs2arrays

    from .layers.transformer_model import replace_listener

    return cast(Tok2VecModel, chain(replace_listener(transformer), trfs2arrays(pooling, grad_factor)))


def build_ptuning_listener_v1(upstream: str = "*", width: int | None = None) -> Tok2VecModel:
    """Build the layer that takes its vectors from a `ptuning_transformer` component earlier in the pipeline.

    upstream (str): The name of that component, "*" for any.
    width (int | None): nO, the backbone's hidden width, for architectures that need it while they are built, such as
        that of entity_linker; None to take it from upstream.
    """
    from .layers.listener import PTuningListener

    return PTuningListener(upstream, width)


def build_token_classifier_v1(
    tok2vec: Tok2VecModel, dropout: float = 0.1, nO: int | None = None
) -> Model[list[Doc], list[Floats2d]]:
    """Build the head of the paper: one linear layer over token vectors (Liu et al. 2021, section 3.3).

    dropout (float): On the token vectors; `[training] dropout` overrides it in training.
    nO (int | None): Number of tags, set from the labels.
    RETURNS (Model[list[Doc], list[Floats2d]]): Docs to logits. Shape of each: (n_tokens, nO)
    """
    return _with_linear(tok2vec, tok2vec, dropout, nO)


def build_sequence_classifier_v1(
    tok2vec: Tok2VecModel,
    dropout: float = 0.1,
    rows_per_sequence: int = 1,
    nO: int | None = None,
) -> Model[list[Doc], list[Floats2d]]:
    """Build the head of the paper for whole sequences: one linear layer over the vector of each (section 3.3).

    tok2vec (Model): `spacy_ptv2.SequenceEncoder.v1` with the rows "sequence", or "spans" for marked spans.
    dropout (float): On the vectors; `[training] dropout` overrides it in training.
    rows_per_sequence (int): Rows that are put side by side, as the vectors of two marked words.
    nO (int | None): Number of outputs, set from the labels.
    RETURNS: Docs to logits. Shape of each: (1, nO)
    """
    from .layers.join_rows import JoinRows

    model = _with_linear(tok2vec, chain(tok2vec, JoinRows(rows_per_sequence)), dropout, nO)
    model.attrs["rows_per_sequence"] = rows_per_sequence
    return model


def _with_linear(
    tok2vec: Tok2VecModel, rows: Tok2VecModel, dropout: float, nO: int | None
) -> Model[list[Doc], list[Floats2d]]:
    """Return a linear layer over rows that are made of a tok2vec's, with the refs that heads ask for."""
    head: Model[Floats2d, Floats2d] = chain(Dropout(dropout), Linear(nO=nO))
    model: Model[list[Doc], list[Floats2d]] = chain(rows, with_array(head))
    model.set_ref("tok2vec", tok2vec)
    model.set_ref("output_layer", head.layers[-1])
    return model


def _encode(
    backbone: BackboneSource,
    adapter: AdapterOptions | None,
    windows: WindowOptions | None,
    runtime: RuntimeOptions | None,
    layout: Layout,
    rows: RowKind,
    pooling: Model[Ragged, Floats2d],
) -> Tok2VecModel:
    from .bridge.adapter_shim import AdapterShim
    from .bridge.window_encoding import WindowEncoding
    from .layers.tok2vec_ptuning import Tok2VecPTuning

    options = adapter or AdapterOptions()
    marks = getattr(layout, "mark", False)
    if marks and options.word_shape is False:
        raise PTuningError(Errors.P223)
    options = replace(options, word_shape=True) if marks else options
    n_word_shapes = N_WORD_SHAPES + marks
    shim = AdapterShim(backbone, options, runtime or RuntimeOptions(), n_word_shapes=n_word_shapes)
    return Tok2VecPTuning(shim, pooling, WindowEncoding(windows or WindowOptions(), layout, rows))


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
