"""Damaged packages: each must be refused with an error of ours, or load and predict as before.

python -m benchmarks.damage [--cases 200] [--seed 0]

Two tiny pipelines are packaged by `spacy ptv2 package`; every case damages a copy of the first and loads it by the
package's own `load()`. Half of the cases touch any data file. The other half change what our components saved and then
write checksums and manifest anew, so that only the reading code stands between them and a wrong prediction.
"""

import copy
import importlib.util
import json
import random
import shutil
import sys
import tempfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import spacy
import typer
from safetensors.numpy import load_file, save
from spacy.tokens import DocBin
from wasabi import msg

from spacy_ptv2.corpora.conll import read_conll, to_docs
from spacy_ptv2.errors import PTuningError
from spacy_ptv2.packaging.manifest import write_manifest
from spacy_ptv2.packaging.sample import describe
from spacy_ptv2.packaging.wheels import package_pipeline
from spacy_ptv2.serialization import HEADER_KEY, checksum_of
from tests.tiny import TRAIN_CONLL, build_pipeline, save_tiny_backbone, train

TEXTS = ["Peter Hansen works in New York .", "Acme opens Danish office"]
WRONG: list[Any] = [None, True, -1, 1.5, 10**12, "x", [], {}, [[]], {"x": 1}]
BAD_OUTCOMES = ("raw", "silent")


@dataclass(frozen=True)
class Case:
    """A kind of damage, the file that it hit, and what came of it: refused, identical, silent or raw."""

    kind: str
    file: str
    outcome: str
    error: str


def main(cases: int = 200, seed: int = 0) -> None:
    """Print counts by kind and outcome; exit with 1 if any case is silent or raw."""
    with tempfile.TemporaryDirectory() as folder:
        found = list(run(Path(folder), cases, seed))
    outcomes = ["refused", "identical", *BAD_OUTCOMES]
    counts = Counter((case.kind, case.outcome) for case in found)
    rows = [(kind, *(counts[kind, outcome] for outcome in outcomes)) for kind in sorted({case.kind for case in found})]
    totals = ("all", *(sum(case.outcome == outcome for case in found) for outcome in outcomes))
    msg.table([*rows, totals], header=("damage", *outcomes), divider=True, aligns=("l", "r", "r", "r", "r"))
    bad = [case for case in found if case.outcome in BAD_OUTCOMES]
    for case in bad:
        msg.text(f"{case.outcome}: {case.kind}, {case.file}: {case.error}")
    if bad:
        msg.fail(f"{len(bad)} of {len(found)} damaged packages were not noticed, or failed inside a library", exits=1)
    msg.good(f"{len(found)} damaged packages: each refused by name, or loaded with the same predictions")


def run(folder: Path, cases: int, seed: int) -> Iterator[Case]:
    """Build the packages and yield one damaged case after the other."""
    chance = random.Random(seed)
    good, other = build_packages(folder)
    expected = predictions(good)
    for number in range(cases):
        damaged = Path(shutil.copytree(good, folder / f"case{number}" / good.name))
        kind, file = damage_any_file(damaged, other, chance) if number % 2 else rewrite_component(damaged, chance)
        outcome, error = judge(damaged, expected)
        yield Case(kind, file, outcome, error)
        shutil.rmtree(damaged.parent)


def build_packages(folder: Path) -> tuple[Path, Path]:
    """Return the folders of two installed packages over one tiny backbone."""
    backbone = save_tiny_backbone(folder / "backbone", "bert")
    (folder / "train.txt").write_text(TRAIN_CONLL, encoding="utf8")
    corpus = folder / "train.spacy"
    DocBin(docs=to_docs(read_conll(folder / "train.txt"), spacy.blank("en").vocab)).to_disk(corpus)
    packages = []
    for name, steps in (("first", 30), ("second", 5)):
        nlp = build_pipeline(backbone, corpus)
        train(nlp, corpus, steps=steps)
        nlp.to_disk(folder / name)
        wheel = package_pipeline(folder / name, folder / "wheels", name=name, version="1.0.0")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder / "site")
        packages.append(folder / "site" / f"en_{name}")
    return packages[0], packages[1]


def judge(package: Path, expected: list[dict[str, Any]]) -> tuple[str, str]:
    """Load a package and return the outcome and the error, if any."""
    try:
        same = predictions(package) == expected
    except PTuningError as error:
        return "refused", str(error)
    except Exception as error:
        return "raw", f"{type(error).__name__}: {str(error)[:200]}"
    return ("identical" if same else "silent"), ""


def predictions(package: Path) -> list[dict[str, Any]]:
    """Import a package from its folder, load it and return what it predicts."""
    spec = importlib.util.spec_from_file_location(package.name, package / "__init__.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.pop(package.name, None)
    spec.loader.exec_module(module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [describe(doc) for doc in module.load().pipe(TEXTS)]


def damage_any_file(package: Path, other: Path, chance: random.Random) -> tuple[str, str]:
    """Damage one data file. RETURNS: The kind of damage and the file."""
    files = sorted(file for file in package.rglob("*") if file.is_file() and file.suffix not in (".py", ".pyc"))
    file = chance.choice(files)
    data = bytearray(file.read_bytes())
    kind = chance.choice(["flipped", "truncated", "swapped", "missing"])
    if kind == "flipped" and data:
        for _ in range(chance.choice([1, 1, 8])):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        file.write_bytes(data)
    elif kind == "truncated":
        file.write_bytes(data[: chance.randrange(len(data) or 1)])
    elif kind == "swapped":
        name = file.relative_to(package).as_posix().replace("first", "second")
        shutil.copyfile(other / name, file)
    else:
        file.unlink()
    return kind, file.relative_to(package).as_posix()


def rewrite_component(package: Path, chance: random.Random) -> tuple[str, str]:
    """Change what one of our components saved, consistently. RETURNS: The kind of damage and the file."""
    if chance.random() < 0.2:
        file = chance.choice(sorted(package.rglob("token_classifier/cfg")))
        cfg = json.loads(file.read_text())
        kind = change_json(cfg, chance, same_type=False)
        file.write_text(json.dumps(cfg))
    else:
        file = chance.choice(sorted(package.rglob("model.safetensors")))
        kind = rewrite_tensors(file, chance)
    write_manifest(package)
    return f"rewritten: {kind}", file.relative_to(package).as_posix()


def rewrite_tensors(file: Path, chance: random.Random) -> str:
    """Change tensors or header of a file and write its checksum anew. RETURNS: The kind of damage."""
    tensors = load_file(file)
    data = file.read_bytes()
    metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    header = json.loads(metadata[HEADER_KEY])
    if chance.random() < 0.5:
        kind = change_tensors(tensors, chance)
        header["checksum"] = checksum_of(tensors)
    else:
        kind = change_json(header, chance, same_type=True)
    file.write_bytes(save(tensors, metadata={HEADER_KEY: json.dumps(header)}))
    return kind


def change_tensors(tensors: dict[str, Any], chance: random.Random) -> str:
    """Give one tensor another shape, type or name, drop it, or add one."""
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
    kind = chance.choice(["shape", "shape", "type", "name", "dropped", "added"])
    if kind == "shape":
        tensors[name] = np.ascontiguousarray(chance.choice(shapes)())
    elif kind == "type":
        tensors[name] = array.astype(chance.choice(["float64", "float16", "int32", "uint8", "bool"]))
    elif kind == "name":
        renamed = chance.choice([f"99.{rest}", f"-1.{rest}", f"x.{rest}", rest, f"{index}.x", "", f"0.{rest}x"])
        tensors[renamed] = tensors.pop(name)
    elif kind == "dropped":
        del tensors[name]
    else:
        tensors[chance.choice([f"{index}.x", "99.W", "-1.W", "W"])] = array.copy()
    return f"tensor, {kind}"


def change_json(document: Any, chance: random.Random, *, same_type: bool) -> str:
    """Drop a value somewhere in a document, or put a wrong one in its place.

    same_type (bool): Whether a text may become another text, which in settings is a change and no damage.
    """
    places = list(walk(document))
    container, key = chance.choice(places)
    value = container[key]
    if chance.random() < 0.3:
        del container[key]
        return "value missing"
    wrong = [w for w in WRONG if w != value and (same_type or type(w) is not type(value))]
    if same_type and type(value) is int:
        wrong += [value + 1, value - 1]
    container[key] = copy.deepcopy(chance.choice(wrong))
    return "value wrong"


def walk(document: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (container, key) of every value in a JSON document."""
    keys = document if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    for key in list(keys):
        yield document, key
        yield from walk(document[key])


if __name__ == "__main__":
    typer.run(main)
