"""Damaged files: each must be refused with an error of ours, or load and predict as before.

python -m benchmarks.robustness.damage [--cases 2000] [--packages 100] [--seed 0]

Cases damage components, manifests, backbones and small documents in memory or in one folder
(`damage_subjects.py`, with the kinds of damage in `mutations.py`). Packages are whole: two tiny pipelines are packaged
by `spacy ptv2 package`, a copy of the first is damaged and loaded by its own `load()`. Half of these touch any data
file. The other half change what our components saved and then write checksums and manifest anew, so that only the
reading code stands between them and a wrong prediction.
"""

import importlib.util
import json
import random
import resource
import shutil
import sys
import tempfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer
from wasabi import msg

from spacy_ptv2.errors import PTuningError
from spacy_ptv2.packaging.manifest import write_manifest
from spacy_ptv2.packaging.sample import describe
from spacy_ptv2.packaging.wheels import package_pipeline
from tests.tiny import build_pipeline, train

from .damage_subjects import TEXTS, Case, Subject, build_subjects, make_backbone_and_corpus
from .mutations import change_json, flip_bits, rewrite_tensors

OUTCOMES = ("refused", "identical", "told")
BAD_OUTCOMES = ("silent", "raw", "slow")
SHARES = {"component": 0.5, "manifest": 0.15, "backbone": 0.2, "document": 0.15}


def main(cases: int = 2000, packages: int = 100, seed: int = 0) -> None:
    """Print counts by kind and outcome; exit with 1 if any case is silent, raw or slow."""
    with tempfile.TemporaryDirectory() as folder:
        found = list(run(Path(folder) / "subjects", cases, seed))
        found += run_packages(Path(folder) / "packages", packages, seed)
    columns = (*OUTCOMES, *BAD_OUTCOMES)
    counts = Counter((case.subject, case.kind, case.outcome) for case in found)
    kinds = sorted({(case.subject, case.kind) for case in found})
    rows = [(*kind, *(counts[(*kind, outcome)] for outcome in columns)) for kind in kinds]
    totals = ("all", "", *(sum(case.outcome == outcome for case in found) for outcome in columns))
    msg.table([*rows, totals], header=("what", "damage", *columns), divider=True)
    msg.text(f"at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB of memory")
    bad = [case for case in found if case.outcome in BAD_OUTCOMES]
    for case in bad:
        msg.text(f"{case.outcome}: {case.subject}, {case.kind}, {case.file}: {case.error}")
    if bad:
        msg.fail(f"{len(bad)} of {len(found)} damages were not noticed, or failed inside a library", exits=1)
    msg.good(f"{len(found)} damages: each refused by name, or loaded with the same predictions")


def run(folder: Path, cases: int, seed: int) -> Iterator[Case]:
    """Build the subjects and yield one damaged case after the other."""
    chance = random.Random(seed)
    subjects = build_subjects(folder)
    for _ in range(cases):
        yield choose(subjects, chance).case(chance)


def choose(subjects: dict[str, Subject], chance: random.Random) -> Subject:
    """Return one of the subjects, each as often as its share says."""
    (name,) = chance.choices(list(SHARES), list(SHARES.values()))
    return subjects[name]


def run_packages(folder: Path, cases: int, seed: int) -> Iterator[Case]:
    """Build the packages and yield one damaged case after the other."""
    chance = random.Random(seed)
    good, other = build_packages(folder)
    expected = predictions(good)
    for number in range(cases):
        damaged = Path(shutil.copytree(good, folder / f"case{number}" / good.name))
        kind, file = damage_any_file(damaged, other, chance) if number % 2 else rewrite_component(damaged, chance)
        outcome, error = judge(damaged, expected)
        yield Case("package", kind, file, outcome, error)
        shutil.rmtree(damaged.parent)


def build_packages(folder: Path) -> Sequence[Path]:
    """Return the folders of two installed packages over one tiny backbone."""
    backbone, corpus = make_backbone_and_corpus(folder)
    packages = []
    for name, steps in (("first", 30), ("second", 5)):
        nlp = build_pipeline(backbone, corpus)
        train(nlp, corpus, steps=steps)
        nlp.to_disk(folder / name)
        wheel = package_pipeline(folder / name, folder / "wheels", name=name, version="1.0.0")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder / "site")
        packages.append(folder / "site" / f"en_{name}")
    return packages


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
    data = file.read_bytes()
    kind = chance.choice(["flipped", "truncated", "swapped", "missing"])
    if kind == "flipped":
        file.write_bytes(flip_bits(data, chance))
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
        kind, data = rewrite_tensors(file.read_bytes(), chance)
        file.write_bytes(data)
    write_manifest(package)
    return f"rewritten: {kind}", file.relative_to(package).as_posix()


if __name__ == "__main__":
    typer.run(main)
