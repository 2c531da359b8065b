"""One wheel, five ways to have its backbone: from PyPI, a folder, in the wheel, as a wheel of its own, not at all.

python -m benchmarks.robustness.wheels [--pipeline FOLDER]

Without a pipeline, one over MiniLM is trained for a few steps on Wikigold. Each way gets a fresh environment with the
libraries of this one but for backbones, and predicts with the network cut off: the first four must predict what is
predicted here, the last must say what to install.
"""

import os
import site
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import spacy
import typer
from spacy.tokens import DocBin
from wasabi import msg

from spacy_ptv2.backbones.catalogue import KNOWN_PACKAGES
from spacy_ptv2.corpora.conll import read_conll, to_docs
from spacy_ptv2.packaging.backbone_wheels import package_backbone
from spacy_ptv2.packaging.wheels import package_pipeline
from tests.tiny import build_pipeline, train

from ..lib.pipelines import MINILM, WIKIGOLD

ROOT = Path(__file__).parents[2]
PREDICT = ROOT / "project" / "scripts" / "predict.py"
N_TRAIN, N_TEST, STEPS = 64, 400, 30  # sentences, sentences, steps over all of the first


def main(pipeline: Path | None = None) -> None:
    """Build the wheels and the environments, compare, print; exit with 1 if one is not as it should be."""
    package = KNOWN_PACKAGES[MINILM]
    model = package.locate()
    if model is None:
        msg.fail(f"This needs `{package.install_command}`", exits=1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = write_corpus(folder)
        trained = pipeline or train_pipeline(folder)
        slim = package_pipeline(trained, folder / "wheels", name="slim", version="1.0.0", report=msg.text)
        bundle = package_pipeline(
            trained, folder / "wheels", name="bundle", version="1.0.0", bundle=True, report=msg.text
        )
        alone = package_backbone(MINILM, folder / "wheels", report=msg.text)
        here = predict(Path(sys.executable), str(trained), corpus, {}).stdout
        ways: dict[str, tuple[list[str], str, dict[str, str]]] = {
            "PyPI package": ([package.requirement, str(slim)], "en_slim", {}),
            "folder": ([str(slim)], "en_slim", {"SPACY_PTV2_BACKBONE": str(model)}),
            "in the wheel": ([str(bundle)], "en_bundle", {}),
            "backbone wheel": ([str(alone), str(slim)], "en_slim", {}),
            "absent": ([str(slim)], "en_slim", {}),
        }
        rows, wrong = [], []
        for way, (requirements, module, variables) in ways.items():
            python = environment(folder / way.replace(" ", "-"), requirements)
            result = predict(python, module, corpus, variables)
            outcome = "the same predictions" if result.stdout == here and result.returncode == 0 else "failed"
            if way == "absent" and "[P101]" in result.stderr and package.install_command in result.stderr:
                outcome = "says what to install"
            rows.append((way, outcome))
            if outcome == "failed":
                wrong.append(way)
                msg.text(result.stderr[-1000:])
        sizes = [(wheel.name, f"{wheel.stat().st_size / 1e6:.2f} MB") for wheel in (slim, bundle, alone)]
        tagged = sum(line.count('"B-') for line in here.splitlines())
    msg.table(sizes, header=("wheel", "size"), divider=True)
    msg.table(rows, header=(f"backbone from ({N_TEST} sentences, {tagged} entities)", "outcome"), divider=True)
    if wrong:
        msg.fail(f"Not as it should be: {', '.join(wrong)}", exits=1)
    msg.good("Four ways predict the same offline, the fifth says what to install")


def write_corpus(folder: Path) -> Path:
    """Write the sentences to train on and those to predict. RETURNS: The latter."""
    docs = to_docs(read_conll(WIKIGOLD), spacy.blank("en").vocab)
    sentences = list(docs)[: N_TRAIN + N_TEST]
    DocBin(docs=sentences[:N_TRAIN]).to_disk(folder / "train.spacy")
    DocBin(docs=sentences[N_TRAIN:]).to_disk(folder / "test.spacy")
    return folder / "test.spacy"


def train_pipeline(folder: Path) -> Path:
    """Train a small prompt over MiniLM until it finds something."""
    msg.text(f"Training {STEPS} steps over {MINILM}")
    prompt = {"length": 8}
    nlp = build_pipeline(Path(MINILM), folder / "train.spacy", prompt=prompt)
    train(nlp, folder / "train.spacy", steps=STEPS)
    nlp.to_disk(folder / "trained")
    return folder / "trained"


def environment(folder: Path, requirements: list[str]) -> Path:
    """Create an environment with this one's libraries, without its backbones and its editable installs.

    RETURNS: Its Python.
    """
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    libraries = folder / "libraries"
    libraries.mkdir()
    hidden = ("spacy_ptv2", "__editable__", "__pycache__", *(package.module for package in KNOWN_PACKAGES.values()))
    for entry in Path(site.getsitepackages()[0]).iterdir():
        if not entry.name.startswith(hidden):
            (libraries / entry.name).symlink_to(entry)
    (own,) = folder.glob("lib/python*/site-packages")
    (own / "libraries.pth").write_text(str(libraries), encoding="utf8")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--disable-pip-version-check", str(ROOT), *requirements], check=True, cwd=folder)
    return python


def predict(python: Path, pipeline: str, corpus: Path, variables: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run the script that predicts with the network cut off, from a folder where nothing of ours lies."""
    environ = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "SPACY_PTV2_BACKBONE")}
    command = [str(python), "-W", "ignore", str(PREDICT), pipeline, str(corpus)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        encoding="utf8",
        check=False,
        env={**environ, **variables},
        cwd=corpus.parent,
    )


if __name__ == "__main__":
    typer.run(main)
