"""Install a wheel in a fresh place and check that it predicts there what the trained pipeline predicts here.

python project/scripts/smoke_test.py WHEEL PIPELINE CORPUS REPORT [--libraries-from-here]

The fresh place is an environment with this checkout of spacy_ptv2, built as a wheel, the versions of the main libraries
that are installed here, and the backbone's package. With --libraries-from-here, which takes seconds, it is a folder of
the wheel alone. Then predictions run with the network off. Fails if the annotations of any Doc differ, if the wheel is
over 3 MB or if a backbone weight is in it.
"""

import json
import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import srsly
import typer
from safetensors.numpy import load_file
from wasabi import msg

from spacy_ptv2.backbones.catalogue import KNOWN_PACKAGES
from spacy_ptv2.parameter_groups import part_of

ROOT = Path(__file__).resolve().parents[2]
PINNED = ("torch", "transformers", "tokenizers", "spacy", "thinc", "numpy", "safetensors")
ENGINES = ("openvino",)  # those that are installed here, for they may give other last digits than torch
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
MAX_BYTES = 3_000_000
FOREIGN_WEIGHTS = ("pytorch_model.bin", ".pt", ".pth", ".onnx", ".h5", ".pkl")


def main(wheel: Path, pipeline: Path, corpus: Path, report: Path, libraries_from_here: bool = False) -> None:
    """Run the comparison and write a report."""
    name = wheel.name.split("-")[0]
    check_contents(wheel)
    here = predict(Path(sys.executable), str(pipeline), corpus)
    with tempfile.TemporaryDirectory() as folder:
        if libraries_from_here:
            install_alone(Path(folder), wheel)
            there = predict(Path(sys.executable), name, corpus, Path(folder))
        else:
            python = create_environment(Path(folder), wheel, backbone_requirement(pipeline))
            there = predict(python, name, corpus)
    different = [i for i, (a, b) in enumerate(zip(here, there, strict=True)) if a != b]
    n_tokens = sum(len(json.loads(line)["tokens"]) for line in here)
    result = {
        "wheel": wheel.name,
        "wheel_bytes": wheel.stat().st_size,
        "docs": len(here),
        "tokens": n_tokens,
        "different_docs": len(different),
    }
    report.parent.mkdir(parents=True, exist_ok=True)
    srsly.write_json(report, result)
    if different:
        msg.fail(f"{len(different)} of {len(here)} Docs differ, the first is number {different[0]}", exits=1)
    place = "folder" if libraries_from_here else "environment"
    msg.good(f"{name}: {len(here)} Docs, {n_tokens} tokens, the same predictions in a fresh {place}, offline")


def check_contents(wheel: Path) -> None:
    """Stop if the wheel is too large or holds a tensor that is none of ours."""
    size = wheel.stat().st_size
    if size > MAX_BYTES:
        msg.fail(f"{wheel} has {size} bytes, expected at most {MAX_BYTES}", exits=1)
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        for entry in archive.namelist():
            if entry.endswith(FOREIGN_WEIGHTS):
                msg.fail(f"{wheel} holds {entry}: expected no weights but safetensors of ours", exits=1)
            if entry.endswith(".safetensors"):
                tensors = load_file(archive.extract(entry, folder))
                foreign = [key for key in tensors if not is_trained(key)]
                if foreign:
                    msg.fail(f"{wheel}: {entry} holds {foreign}, expected trained tensors only", exits=1)


def is_trained(key: str) -> bool:
    """Return whether a tensor's name, NODE.NAME, is one that we save."""
    _, _, name = key.partition(".")
    return part_of(name) != "head" or name in ("W", "b")


def backbone_requirement(pipeline: Path) -> str | None:
    """Return the package of the backbone that a saved pipeline recorded, None if it comes from elsewhere."""
    known = {package.requirement for package in KNOWN_PACKAGES.values()}
    recorded = srsly.read_json(pipeline / "meta.json").get("requirements", [])
    return next((requirement for requirement in recorded if requirement in known), None)


def create_environment(folder: Path, wheel: Path, backbone: str | None) -> Path:
    """Create a virtual environment with the wheel and what it needs. RETURNS: Its Python."""
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    pip = [str(python), *PIP]
    packages = [*PINNED, *(engine for engine in ENGINES if find_spec(engine) is not None)]
    versions = [f"{package}=={version(package).split('+')[0]}" for package in packages]
    run([*pip, *versions])
    run([*pip, str(ROOT)])
    if backbone is not None:
        run([*pip, "--no-deps", backbone])
    # All that it requires is there; resolved again, the backbone's package would bring libraries that nobody calls.
    run([*pip, "--no-deps", str(wheel.resolve())])
    return python


def install_alone(folder: Path, wheel: Path) -> None:
    """Install the wheel in a folder, without anything that it needs."""
    run([sys.executable, *PIP, "--no-index", "--no-deps", "--target", str(folder), str(wheel.resolve())])


def predict(python: Path, pipeline: str, corpus: Path, packages: Path | None = None) -> list[str]:
    """Run predict.py under a Python and return its lines. packages (Path | None): A folder of further packages."""
    command = [str(python), str(ROOT / "project" / "scripts" / "predict.py"), pipeline, str(corpus.resolve())]
    environment = dict(os.environ)
    if packages is not None:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(packages), environment.get("PYTHONPATH")]))
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, encoding="utf8", env=environment)
    return [line for line in ran.stdout.splitlines() if line.startswith("{")]


def run(command: list[str]) -> None:
    """Run a command from outside the checkout, so that nothing is imported from it, and stop if it fails."""
    with tempfile.TemporaryDirectory() as elsewhere:
        subprocess.run(command, check=True, cwd=elsewhere)


if __name__ == "__main__":
    typer.run(main)
