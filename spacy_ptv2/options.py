"""Settings of an adapter and of how its backbone runs, as plain values without torch.

Each class is registered under ``@misc`` (see the entry points): a config block becomes one object, which checks itself.
Every default is defined here and nowhere else. Annotations are not postponed, because spaCy's configs read them.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from .errors import Errors, PTuningError

Switch = bool | Literal["auto"]
WordShapePlace = Literal["pieces", "prompt"]
Pieces = int | Literal["auto"]
EngineName = Literal["auto", "torch", "openvino", "openvino-int8"]
AttentionKind = Literal["sdpa", "eager"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
# Tokens of a Doc are read from windows of this size. Adapters are trained on sentences, and 99 sentences in 100 fit
# into one window; in windows of 512, adapters lose 12 points of F1 (docs/experiments/tables/documents.md).
TOKEN_WINDOW, TOKEN_OVERLAP = 96, 24


@dataclass(frozen=True)
class NormalStart:
    """Start the prompt from N(0, deviation). The reference uses 0.02; 1.0 trained better on MiniLM."""

    deviation: float = 1.0


@dataclass(frozen=True)
class WordStart:
    """Start the prompt from the keys and values that the backbone computes for the pieces of a text.

    text (str): Real words; repeated until the prompt is filled.
    """

    text: str


PromptStart = NormalStart | WordStart


@dataclass(frozen=True)
class PromptOptions:
    """The prompt: trained keys and values before each attention layer (Liu et al. 2021, section 3).

    length (int | list[int]): Positions of the prompt: one number for all its layers, or one for each.
    layers (list[int] | None): The layers that have a prompt; None for all.
    dropout (float): Dropout on the prompt's keys and values.
    start (PromptStart | None): How keys and values are initialised; None for `NormalStart()`.
    mlp_width (int | None): Hidden width of the reparameterising MLP; None for flat keys and values.
    shift_positions (bool): Let the positions of the pieces start after the prompt, as in the reference.
    dropout_per_row (bool): Draw the dropout for each row of a batch, as in the reference. Drawing it once for all rows
        takes less memory.
    RAISES (PTuningError): P202, P407.
    """

    length: int | list[int] = 8
    layers: list[int] | None = None
    dropout: float = 0.1
    start: PromptStart | None = None
    mlp_width: int | None = None
    shift_positions: bool = False
    dropout_per_row: bool = False

    def __post_init__(self) -> None:
        if min([self.length] if isinstance(self.length, int) else self.length, default=0) < 0:
            raise PTuningError(Errors.P202.format(got=self.length))
        _check("prompt dropout", self.dropout, "at least 0 and below 1", 0.0 <= self.dropout < 1.0)
        _check("mlp_width", self.mlp_width, "null or at least 1", self.mlp_width is None or self.mlp_width >= 1)


@dataclass(frozen=True)
class AdapterOptions:
    """The adapter: everything that is trained inside the backbone, and saved as one.

    prompt (PromptOptions | None): The prompt; None for `PromptOptions()`. A length of 0 means no prompt.
    lora_rank (int): Rank of the LoRA matrices on every linear layer of the layers in `prompt.layers`; 0 for none.
    scalar_mix (bool): Let the head read a learned softmax mix of all layers' hidden states instead of the last layer's.
    word_shape (bool | "auto"): Add a trained embedding of each word's shape to its pieces; "auto": if the tokenizer
        drops case.
    word_shape_place ("pieces" | "prompt"): Where the word shape is added: to the piece embeddings, where it helps most,
        or to the input of the first layer that has a prompt. The layers below that one are then the same for every
        adapter, so they are computed once for several.
    RAISES (PTuningError): P209, P407.
    """

    prompt: PromptOptions | None = None
    lora_rank: int = 7
    scalar_mix: bool = True
    word_shape: Switch = "auto"
    word_shape_place: WordShapePlace = "pieces"

    def __post_init__(self) -> None:
        _check("lora_rank", self.lora_rank, "at least 0", self.lora_rank >= 0)
        if not _is_switch(self.word_shape):
            raise PTuningError(Errors.P209.format(got=self.word_shape))
        _check_choice("word_shape_place", self.word_shape_place, WordShapePlace)


@dataclass(frozen=True)
class WindowOptions:
    """How documents are cut into windows, which the backbone reads one at a time.

    length (int | "auto" | None): Most pieces in a window, special ones included. "auto": `TOKEN_WINDOW`, or up to 512
        if a span getter cuts the Doc, but never more than the backbone has positions for. None: as many as the backbone
        has positions for, at most 512.
    overlap (int | "auto"): Pieces that neighbouring windows of a document share. "auto": `TOKEN_OVERLAP`, or a quarter
        of shorter windows.
    batch_pieces (int): Padded pieces in one forward pass.
    RAISES (PTuningError): P407. Whether a window fits the backbone is checked when that is loaded (P203, P206, P212).
    """

    length: Pieces | None = "auto"
    overlap: Pieces = "auto"
    batch_pieces: int = 4096

    def __post_init__(self) -> None:
        _check("batch_pieces", self.batch_pieces, "at least 1", self.batch_pieces >= 1)


@dataclass(frozen=True)
class RuntimeOptions:
    """How the backbone runs, in training and in prediction.

    backbone_dropout (bool): Keep the backbone's own dropout on hidden states active in training.
    attention_dropout (bool): Keep the one on attention weights active too, which is slow; only with backbone_dropout.
    mixed_precision (bool | "auto"): Train a float32 backbone under bfloat16 autocast; "auto": if the hardware is faster
        in it. Prediction is in the precision of the backbone's weights.
    gradient_checkpointing (bool): Recompute activations in the backward pass instead of keeping them.
    hidden_state_cache_mb (int): Megabytes of memory for the hidden states below the first layer that the adapter
        changes, so that training computes them once for all epochs; 0 for no cache.
    hidden_state_cache_disk_mb (int): Megabytes of disk for those that do not fit into memory.
    engine (str): What runs the backbone in prediction: "torch", "openvino", "openvino-int8" (8-bit weights) or "auto";
        see `engines/engine.py`.
    fold_lora (bool): Fold LoRA into weights of its own in prediction, where its task runs alone.
    RAISES (PTuningError): P208, P213.
    """

    backbone_dropout: bool = True
    attention_dropout: bool = False
    mixed_precision: Switch = "auto"
    gradient_checkpointing: bool = False
    hidden_state_cache_mb: int = 0
    hidden_state_cache_disk_mb: int = 0
    engine: EngineName = "auto"
    fold_lora: bool = False

    def __post_init__(self) -> None:
        if not _is_switch(self.mixed_precision):
            raise PTuningError(Errors.P208.format(got=self.mixed_precision))
        sizes = (self.hidden_state_cache_mb, self.hidden_state_cache_disk_mb)
        if min(sizes) < 0:
            raise PTuningError(Errors.P213.format(got=sizes))
        _check_choice("engine", self.engine, EngineName)


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool) or value == "auto"


def _check(name: str, got: Any, expected: str, is_right: bool) -> None:
    if not is_right:
        raise PTuningError(Errors.P407.format(name=name, expected=expected, got=got))


def _check_choice(name: str, got: Any, choices: Any) -> None:
    names = get_args(choices)
    _check(name, got, "one of " + ", ".join(map(repr, names)), got in names)
