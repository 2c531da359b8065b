"""What the package asks a model about itself, kept in the user's cache directory, so that its weights can wait.

In: a loaded model, or the identity of its files. Out: its `Sizes`. They are kept once an engine has a graph of the
model, which then runs without it: importing the code of transformers' models takes longer than all else in a start.
So what is kept also says that the very same files were loaded and tried here, by the same code. Nothing depends on the
cache: without an entry that can be read, the model is loaded at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from platformdirs import user_cache_path
from safetensors import safe_open

from ..injection.context import Widths
from ..reading import read_object
from .hash_cache import write_entry
from .makers import LOADING_CODE, makers
from .precision import resolve_precision
from .sealing import WEIGHTS
from .source import BackboneSource

if TYPE_CHECKING:
    from ..injection.family import Family

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Sizes:
    """Numbers of a model.

    precision (str): The dtype of its weights, such as "bfloat16".
    n_layers (int): Layers that can take a prompt.
    hidden_width (int): Of its hidden states.
    key_width (int): Of a layer's keys, and of its values, all heads together (often the hidden width).
    n_key_heads (int): Heads of a layer's keys and values.
    embedding_width (int): Of its piece embeddings (ELECTRA's is smaller than its hidden width).
    n_embeddings (int): Pieces that it has embeddings for.
    max_positions (int): The length of the longest sequence that it reads, special pieces included.
    n_parameters (int): All of them frozen.
    linear_widths (tuple): For each layer, the input and output widths of its linear layers.
    reads_last_piece (bool): See `Family`.
    embeddings (str): The name of its piece embeddings in model.safetensors; "" where that is not known.
    """

    precision: str
    n_layers: int
    hidden_width: int
    key_width: int
    n_key_heads: int
    embedding_width: int
    n_embeddings: int
    max_positions: int
    n_parameters: int
    linear_widths: tuple[Widths, ...]
    reads_last_piece: bool
    embeddings: str = ""


def measure(model: Any, rule: Family) -> Sizes:
    """Return the sizes of a loaded model, but for the name of its embeddings."""
    from ..injection.lora import linear_widths

    config, table = model.config, model.get_input_embeddings()
    layers = rule.layers(model)
    return Sizes(
        precision=str(model.dtype).removeprefix("torch."),
        n_layers=len(layers),
        hidden_width=rule.hidden_width(config),
        key_width=rule.key_width(config),
        n_key_heads=int(getattr(config, "num_key_value_heads", None) or config.num_attention_heads),
        embedding_width=table.embedding_dim,
        n_embeddings=table.num_embeddings,
        max_positions=rule.max_positions(config),
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        linear_widths=tuple(linear_widths(rule.linear_layers(layer)) for layer in layers),
        reads_last_piece=rule.reads_last_piece,
    )


def recall_sizes(source: BackboneSource, fingerprint: str, device: torch.device = CPU) -> Sizes | None:
    """Return what was kept about a backbone, None if nothing was."""
    if device.type != "cpu" or source.quantization is not None:
        return None
    try:
        kept = read_object(_entry(source, fingerprint))
        widths = tuple(tuple((n_in, n_out) for n_in, n_out in layer) for layer in kept.pop("linear_widths"))
        return Sizes(**kept, linear_widths=widths)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def keep_sizes(source: BackboneSource, fingerprint: str, path: Path, model: Any, sizes: Sizes) -> None:
    """Keep what was measured, if the piece embeddings can be read without the model. path (Path): Its folder."""
    name = _name_of_embeddings(path / WEIGHTS, model)
    if name is not None:
        write_entry(_entry(source, fingerprint), asdict(replace(sizes, embeddings=name)))


def map_embeddings(path: Path, sizes: Sizes) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function from ids of pieces to their embeddings, which reads of the weights only what it needs."""
    with safe_open(path / WEIGHTS, "pt") as weights:
        table = weights.get_tensor(sizes.embeddings)  # mapped into memory
    dtype = getattr(torch, sizes.precision)
    return lambda ids: torch.nn.functional.embedding(ids, table).to(dtype)


def _name_of_embeddings(file: Path, model: Any) -> str | None:
    """Return the name of a model's piece embeddings in a file of weights, None if it does more than look them up."""
    table = model.get_input_embeddings()
    if type(table) is not torch.nn.Embedding or table.max_norm is not None or not file.is_file():
        return None
    (own,) = (name for name, parameter in model.named_parameters() if parameter is table.weight)
    with safe_open(file, "pt") as weights:
        names = [name for name in weights.keys() if f".{name}".endswith(f".{own}")]  # noqa: SIM118  (not a dict)
        same = [name for name in names if torch.equal(weights.get_tensor(name).to(table.weight.dtype), table.weight)]
    return same[0] if len(same) == 1 else None


def _cache_folder() -> Path:
    return user_cache_path("spacy-ptv2") / "sizes"


def _entry(source: BackboneSource, fingerprint: str) -> Path:
    identity = (fingerprint, str(resolve_precision(source.dtype, CPU)), source.attention)
    key = repr((*identity, makers(LOADING_CODE, ("torch", "transformers"))))
    return _cache_folder() / f"{hashlib.sha256(key.encode('utf8')).hexdigest()}.json"
