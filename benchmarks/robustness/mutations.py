"""Ways to damage bytes, JSON documents, tensors and files, drawn from a `random.Random`, or from hypothesis as one."""

import copy
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from spacy_ptv2.serialization.tensors import HEADER_KEY, checksum_of

# What JSON can say and nobody means; `10**12` layers, half a character, names that no file can have.
WRONG: list[Any] = [
    None, True, -1, 0, 1.5, 10**6, 10**12, 10**400, 1e308, float("nan"), float("inf"), "", "x", "\0", "a\ud800", "../x",
    "/etc/passwd", "x" * 5000, "~nobody/x", [], {}, [[]], {"x": 1}, {"": None}, ["\udfff"], [0, 1],
]  # fmt: skip
DEEP = 3000
REPLACEMENTS = [b"", b"\0" * 64, b"\xff\xfe", b"null", b"[]", b"{}", b'"x"', b"[" * 10**5, b'{"a":' * 10**5]


def flip_bits(data: bytes, chance: random.Random) -> bytes:
    """Flip one bit, or eight."""
    damaged = bytearray(data)
    for _ in range(chance.choice([1, 1, 8]) if data else 0):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def mutate_bytes(data: bytes, chance: random.Random) -> tuple[str, bytes]:
    """Flip bits, cut off, cut out, repeat, or put something else there. RETURNS: The kind of damage, the bytes"""
    kind = chance.choice(["flipped", "flipped", "truncated", "cut", "repeated", "replaced", "appended"])
    first, last = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    if kind == "flipped":
        return kind, flip_bits(data, chance)
    if kind == "truncated":
        return kind, data[:first]
    if kind == "cut":
        return kind, data[:first] + data[last:]
    if kind == "repeated":
        return kind, data[:last] + data[first:]
    if kind == "appended":
        return kind, data + chance.choice([b"\0", b"{}", b"\xff" * 9])
    return kind, chance.choice(REPLACEMENTS)


def mutate_json(data: bytes, chance: random.Random) -> tuple[str, bytes]:
    """Damage a document's text now and then, mostly one of its values. RETURNS: The kind of damage, the bytes"""
    document = json.loads(data)
    if chance.random() < 0.25 or not document:
        return mutate_bytes(data, chance)
    kind = change_json(document, chance, same_type=True)
    if kind == "value nested":
        return kind, json.dumps(document).replace('"DEEP"', "[" * DEEP + "]" * DEEP).encode()
    return kind, json.dumps(document).encode()


def change_json(document: Any, chance: random.Random, *, same_type: bool) -> str:
    """Drop a value somewhere in a document, or put a wrong one in its place.

    same_type (bool): Whether a text may become another text, which in settings is a change and no damage.
    """
    container, key = chance.choice(list(walk(document)))
    value = container[key]
    kind = chance.choice(["missing", "wrong", "wrong", "wrong", "nested", "renamed"])
    if kind == "missing" or (kind == "renamed" and not isinstance(container, dict)):
        del container[key]
        return "value missing"
    if kind == "renamed":
        container[chance.choice(["", "x", "\0", "a\ud800", "x" * 5000])] = container.pop(key)
        return "key renamed"
    if kind == "nested" and same_type:
        container[key] = "DEEP"
        return "value nested"
    wrong = [w for w in WRONG if w != value and (same_type or type(w) is not type(value))]
    if same_type and type(value) is int:
        wrong += [value + 1, value - 1, value * 1000]
    container[key] = copy.deepcopy(chance.choice(wrong))
    return "value wrong"


def walk(document: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (container, key) of every value in a JSON document."""
    keys = document if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    for key in list(keys):
        yield document, key
        yield from walk(document[key])


def rewrite_tensors(data: bytes, chance: random.Random) -> tuple[str, bytes]:
    """Change tensors or header of a saved file and write its checksum anew. RETURNS: The kind of damage, the bytes"""
    tensors = load(data)
    metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    header = json.loads(metadata[HEADER_KEY])
    if chance.random() < 0.5:
        kind = change_tensors(tensors, chance)
        header["checksum"] = checksum_of(tensors)
    else:
        kind = change_json(header, chance, same_type=True)
    text = json.dumps(header).replace('"DEEP"', "[" * DEEP + "]" * DEEP)
    return kind, save(tensors, metadata={HEADER_KEY: text})


def change_tensors(tensors: dict[str, Any], chance: random.Random) -> str:
    """Give one tensor another shape, type or name, numbers that are none, drop it, or add one."""
    name = chance.choice(sorted(tensors))
    array = tensors[name]
    index, _, rest = name.partition(".")
    shapes: list[Callable[[], Any]] = [
        lambda: array[:-1],
        lambda: array.T.copy() if array.ndim > 1 and array.shape[0] != array.shape[1] else array[:-1],
        lambda: np.concatenate([array, array]),
        lambda: array[None],
        lambda: array[:0],
    ]
    kind = chance.choice(["shape", "shape", "type", "name", "dropped", "added", "not finite"])
    if kind == "shape":
        tensors[name] = np.ascontiguousarray(chance.choice(shapes)())
    elif kind == "type":
        tensors[name] = array.astype(chance.choice(["float64", "float16", "int32", "uint8", "bool"]))
    elif kind == "name":
        renamed = chance.choice([f"99.{rest}", f"-1.{rest}", f"x.{rest}", rest, f"{index}.x", "", f"0.{rest}x", "\0"])
        tensors[renamed] = tensors.pop(name)
    elif kind == "dropped":
        del tensors[name]
    elif kind == "not finite" and array.size and array.dtype.kind == "f":
        tensors[name] = array.copy()
        tensors[name].flat[chance.randrange(array.size)] = chance.choice([np.nan, np.inf, -np.inf])
    else:
        tensors[chance.choice([f"{index}.x", "99.W", "-1.W", "W"])] = array.copy()
    return f"tensor, {kind}"


def mutate_file(file: Path, chance: random.Random, mutate: Callable[[bytes, random.Random], tuple[str, bytes]]) -> str:
    """Damage what is in a file, or put something else in its place. RETURNS: The kind of damage"""
    if chance.random() < 0.8:
        kind, data = mutate(file.read_bytes(), chance)
        file.unlink()  # it may be a link to another file
        file.write_bytes(data)
        return kind
    kind = chance.choice(["missing", "circle", "folder", "dangling", "unreadable"])
    file.unlink()
    if kind == "circle":
        file.symlink_to(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "dangling":
        file.symlink_to(file.parent / "nothing")
    elif kind == "unreadable":
        file.write_bytes(b"x")
        file.chmod(0)
    return kind


def restore(folder: Path, good: Path) -> None:
    """Bring a damaged folder back to what a good one is."""
    shutil.rmtree(folder)
    shutil.copytree(good, folder)
