"""What a config can say about a prompt and the encoder around it, as plain values without torch.

Each class is what the ``@misc`` function of the same name gives (see the entry points in pyproject.toml).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Switch = bool | Literal["auto"]
WordShapePlace = Literal["pieces", "prompt"]
Pieces = int | Literal["auto"]
EngineName = Literal["auto", "torch", "openvino", "openvino-int8"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
# Of what the tokens of a Doc are read from. Prompts are trained on sentences, and of all sentences 99 in 100 fit into
# such a window; in windows of 512 they lose 12 points of F1 (docs/recipes.md, "Whole documents").
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
    """The trained keys and values before every attention layer (Liu et al. 2021, section 3).

    length (int | tuple[int, ...]): Positions of the prompt, the same in each of its layers or one number for each.
    layers (tuple[int, ...] | None): Layers that take one, None for all.
    dropout (float): On the prompt's keys and values. dropout_per_row (bool): Draw it for each row of a batch, as the
    reference does, instead of once for all rows, which takes less memory. start: How they begin. mlp_width (int |
    None): Hidden width of the reparameterising MLP, None for flat keys and values. shift_positions (bool): Let
    positions of the pieces start behind the prompt, as the reference does.
    """

    length: int | tuple[int, ...] = 8
    layers: tuple[int, ...] | None = None
    dropout: float = 0.1
    dropout_per_row: bool = False
    start: PromptStart = field(default_factory=NormalStart)
    mlp_width: int | None = None
    shift_positions: bool = False


@dataclass(frozen=True)
class EncoderOptions:
    """What is trained beside the prompt and how the backbone is run.

    lora_rank (int): Of the adapter beside every linear layer of each layer that has a prompt, 0 for none.
    scalar_mix (bool): Give the head a learned softmax mix of all layers' states instead of the last layer's.
    word_shape (bool | "auto"): Add a trained embedding of each word's shape to its pieces; "auto": where the tokenizer
    drops case. backbone_dropout (bool): Keep the backbone's own dropout on hidden states active in training.
    attention_dropout (bool): And the one on attention weights, which costs much time; only with backbone_dropout.
    mixed_precision (bool | "auto"): Train a backbone in float32 under bfloat16 autocast; "auto": where the hardware
    is faster in it. Prediction is in the precision of the backbone's weights.
    gradient_checkpointing (bool): Compute the layers anew in the backward pass instead of keeping their activations.
    word_shape_place ("pieces" | "prompt"): Where the word shape joins: at the piece embeddings, where it does most, or at the
    input of the first layer with a prompt, so that the layers below it stay those of the bare backbone and can be
    shared with other prompts. hidden_state_cache_mb, hidden_state_cache_disk_mb (int): Megabytes of memory, and then of disk, for
    what these layers give, so that training computes it once for all epochs. engine (str): What runs the backbone in
    prediction: "torch", "openvino", "openvino-int8" (weights of 8 bits) or "auto"; see `engines/engine.py`.
    """

    lora_rank: int = 7
    scalar_mix: bool = True
    word_shape: Switch = "auto"
    backbone_dropout: bool = True
    attention_dropout: bool = False
    mixed_precision: Switch = "auto"
    gradient_checkpointing: bool = False
    word_shape_place: WordShapePlace = "pieces"
    hidden_state_cache_mb: int = 0
    hidden_state_cache_disk_mb: int = 0
    engine: EngineName = "auto"


@dataclass(frozen=True)
class WindowOptions:
    """How documents are cut for the backbone.

    window (int | "auto" | None): Most pieces in a window, special ones included. "auto": `TOKEN_WINDOW`, and whole
    stretches where a span getter cuts, or fewer where the backbone has no positions for so many. None: as many as the
    backbone has positions for, at most 512. overlap (int | "auto"): Pieces that neighbouring windows of a document
    share. "auto": `TOKEN_OVERLAP`, a quarter of windows that are shorter. batch_pieces (int): Padded pieces in one
    forward pass.
    """

    window: Pieces | None = "auto"
    overlap: Pieces = "auto"
    batch_pieces: int = 4096
