"""Runs one short text through a freshly loaded backbone, so that what does not work fails at once and by name."""

from __future__ import annotations

import torch

from ..errors import BackboneError, Errors
from .backbone import Backbone

TEXT = "a"


def probe(backbone: Backbone) -> None:
    """Tokenize and read one letter.

    RAISES (BackboneError): P122 if the tokenizer finds no pieces or has more pieces than the model embeddings, or if
        weights or hidden states are not finite.
    """
    problem = _pieces_problem(backbone)
    if problem is None and backbone.device.type != "meta":  # tensors on "meta" have no values
        problem = _weights_problem(backbone) or _states_problem(backbone)
    if problem is not None:
        raise BackboneError(Errors.P122.format(path=backbone.path, problem=problem))


def _pieces_problem(backbone: Backbone) -> str | None:
    encoding = backbone.tokenizer(TEXT, add_special_tokens=True, return_special_tokens_mask=True)
    if all(encoding["special_tokens_mask"]):
        return f"its tokenizer makes no piece of {TEXT!r}"
    n_embeddings = backbone.n_embeddings
    prefix, suffix = backbone.special_pieces
    # Special pieces that never occur in a window may lack an embedding, such as those that transformers itself adds.
    never_read = backbone.special_ids - {*prefix, *suffix, backbone.pad_id}
    last = max(set(backbone.tokenizer.get_vocab().values()) - never_read)
    return f"its tokenizer has a piece {last} and the model {n_embeddings} embeddings" if last >= n_embeddings else None


def _weights_problem(backbone: Backbone) -> str | None:
    for name, parameter in backbone.model.named_parameters():
        # A sum is quicker to check and never finite if some number is not. But large numbers may add up to infinity.
        is_suspect = parameter.is_floating_point() and not parameter.sum(dtype=torch.float32).isfinite()
        if is_suspect and not parameter.isfinite().all():
            return f"{name} holds NaN or infinite numbers"
    return None


def _states_problem(backbone: Backbone) -> str | None:
    if backbone.source.quantization is not None:
        return None  # layers of bitsandbytes are changed by their first prediction
    ids = torch.tensor([backbone.tokenizer(TEXT)["input_ids"]], device=backbone.device)
    with torch.inference_mode():
        states = backbone.model(input_ids=ids)[0]
    if not torch.isfinite(states).all():
        return "its hidden states are not finite"
    width = states.shape[-1]
    expected = backbone.hidden_width
    return None if width == expected else f"its hidden states are {width} wide, expected {expected}"
