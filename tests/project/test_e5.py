"""multilingual-e5-small's file: expanded, named and tokenised, here with two layers and a few pieces."""

import json
import struct

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import save_file

from .test_scripts import load_script

HIDDEN, WIDE, POSITIONS = 32, 64, 16
SPACE = "\u2581"
PIECES = ["<s>", "<pad>", "</s>", "<unk>", SPACE, f"{SPACE}yö", "juna", "n", "～", "fi", "1", *"abü", "<mask>"]
MATRICES = {"q": (HIDDEN, HIDDEN), "k": (HIDDEN, HIDDEN), "v": (HIDDEN, HIDDEN), "ao": (HIDDEN, HIDDEN)}
MATRICES |= {"fi": (WIDE, HIDDEN), "fo": (HIDDEN, WIDE)}


@pytest.fixture(scope="module")
def e5():
    return load_script("fetch_backbone").e5


def stored_tensors():
    """Name, and the weights: whole numbers for matrices, that four bits can hold, floats for the rest."""
    chance = np.random.default_rng(0)
    shapes = {"emb.word": (len(PIECES) + 2, HIDDEN)}
    plain = {"emb.pos": (POSITIONS, HIDDEN), "emb.type": (2, HIDDEN), "emb.ln.w": (HIDDEN,), "emb.ln.b": (HIDDEN,)}
    for layer in range(2):
        for name, shape in MATRICES.items():
            shapes[f"l{layer}.{name}.w"] = shape
            plain[f"l{layer}.{name}.b"] = shape[:1]
        plain |= {f"l{layer}.{name}.{kind}": (HIDDEN,) for name in ("aln", "oln") for kind in "wb"}
    matrices = {name: chance.integers(-8, 8, shape) for name, shape in shapes.items()}
    return matrices, {name: chance.normal(size=shape).astype("<f4") for name, shape in plain.items()}


def as_blocks(weights):
    """Blocks of 32, written one weight after another; the scale of each is its number in powers of two."""
    data = b""
    for number, block in enumerate(weights.reshape(-1, 32).tolist()):
        halves = bytes((block[i] + 8) | (block[i + 16] + 8) << 4 for i in range(16))
        data += struct.pack("<e", 2.0 ** -(number % 4)) + halves
    return data


def scales_of(weights):
    return np.repeat(2.0 ** -(np.arange(weights.size // 32) % 4), 32).reshape(weights.shape)


@pytest.fixture(scope="module")
def data():
    encoded = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, encoded)]).astype("<u4")
    scores = np.array([0.0] * 4 + [-float(i) for i in range(1, len(PIECES) - 3)], "<f4")
    matrices, plain = stored_tensors()
    head = b"E5S1" + struct.pack("<8i", 1, HIDDEN, 2, 4, WIDE, len(PIECES) + 2, POSITIONS, 2)
    head += struct.pack("<fi5iQ", 1e-12, 32, len(PIECES), 0, 2, 1, 3, offsets[-1])
    head += offsets.tobytes() + scores.tobytes() + b"".join(encoded)
    head += struct.pack("<iI", 1, 9) + struct.pack("<IBI", 0xA0, 1, 0x20)
    parts = {name: (1, own.size, as_blocks(own)) for name, own in matrices.items()}
    parts |= {name: (0, own.size, own.tobytes()) for name, own in plain.items()}
    place = len(head) + 4 + sum(2 + len(name) + 21 for name in parts)
    directory, body = struct.pack("<i", len(parts)), b""
    for name, (kind, n, stored) in parts.items():
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", kind, n, place + len(body), len(stored))
        body += stored
    return head + directory + body


def test_four_bits_are_expanded(e5, data):
    matrices, plain = stored_tensors()
    tensors = e5.build_tensors(e5.read_e5(data))
    assert len(tensors) == len(matrices) + len(plain)
    where = {
        "emb.word": "embeddings.word_embeddings.weight",
        "l1.q.w": "encoder.layer.1.attention.self.query.weight",
        "l0.fi.w": "encoder.layer.0.intermediate.dense.weight",
        "l1.fo.w": "encoder.layer.1.output.dense.weight",
    }
    for name, other in where.items():
        np.testing.assert_array_equal(tensors[other], (matrices[name] * scales_of(matrices[name])).astype("float32"))
    np.testing.assert_array_equal(tensors["encoder.layer.1.attention.output.LayerNorm.bias"], plain["l1.aln.b"])
    np.testing.assert_array_equal(tensors["embeddings.position_embeddings.weight"], plain["emb.pos"])


def test_it_loads_as_a_bert_without_anything_missing(e5, data, tmp_path):
    file = e5.read_e5(data)
    (tmp_path / "config.json").write_text(json.dumps(e5.build_config(file)))
    save_file(e5.build_tensors(file), tmp_path / "model.safetensors", metadata={"format": "pt"})
    model, report = transformers.AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert sorted(report["missing_keys"]) == ["pooler.dense.bias", "pooler.dense.weight"]  # which nothing reads
    assert not report["unexpected_keys"] and not report["mismatched_keys"]
    assert model.config.pad_token_id == 1 and model.config.layer_norm_eps == 1e-12
    assert torch.isfinite(model(torch.tensor([[0, 4, 2]])).last_hidden_state).all()


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("yöjunan", [f"{SPACE}yö", "juna", "n"]),
        ("  yö  a\n", [f"{SPACE}yö", SPACE, "a"]),
        ("yo\u0308", [f"{SPACE}yö"]),  # an accent of its own
        ("u\u0308", [SPACE, "ü"]),
        ("ﬁ\u00a01", [SPACE, "fi", SPACE, "1"]),  # a ligature, a space that does not break
        ("～", [SPACE, "～"]),  # NFKC would make it ~
        ("x", [SPACE, "x"]),
    ],
)
def test_pieces_are_those_of_xlm_r(e5, data, text, pieces):
    file = e5.read_e5(data)
    tokenizer = e5.build_tokenizer(file.pieces, file.unknown)
    encoded = tokenizer.encode(text)
    assert encoded.tokens == ["<s>", *pieces, "</s>"]
    known = [PIECES.index(piece) if piece in PIECES else 3 for piece in pieces]
    assert encoded.ids == [0, *known, 2]
    assert tokenizer.encode("a", "b").ids == [0, 4, PIECES.index("a"), 2, 2, 4, PIECES.index("b"), 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"E5S2" + data[4:], "begins with E5S1"),
        (lambda data: data[:40] + struct.pack("<i", 64) + data[44:], "blocks of 32 weights, got 64"),
        (lambda data: data[:-32], "weights of l1.oln.b"),
    ],
)
def test_another_file_is_refused(e5, data, change, message):
    with pytest.raises(ValueError, match=message):
        e5.read_e5(change(data))
