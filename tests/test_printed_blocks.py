"""The shell blocks of all pages run as printed, in order, in a folder that has what the page takes for granted.

Backbones and corpora are tiny, trainings are shortened through the environment, Python runs in this process, pip
resolves without network and installs nothing, and make says what it would do. What does not run is listed with its
reason, and so is what is changed. README.md is run by test_readme.py.
"""

import importlib
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
import weasel.cli.run
from click.testing import CliRunner
from fastapi.testclient import TestClient
from spacy.lang.en import English

from spacy_ptv2.backbones.source import OVERRIDE_VARIABLE
from spacy_ptv2.comparison import worker
from spacy_ptv2.demo import server

from .conftest import ROOT
from .packaging.hub import serving
from .page_files import GIVEN, first_block
from .reader import BACKBONE, TEXT
from .test_printed_commands import DOCUMENTS, command_of, lines_of
from .test_workflows import run_line

SERVICE = "examples/serve/README.md"
ELSEWHERE = {"README.md", SERVICE}  # run by test_readme.py, and below as one session of a shell
PAGES = [page for page, text in DOCUMENTS.items() if page not in ELSEWHERE and any(lines_of(text))]
SCALE = "needs Ray or Spark: `make test-scale` runs both examples"
MEASURED = "measures for minutes: tests/benchmarks/test_scale.py does so on little"
NOT_RUN = {
    "python -m benchmarks.speed.scale": MEASURED,
    "python -m benchmarks.speed.scale --backbone /models/all-mpnet-base-v2 --nodes 20 --cores 16 --documents 1e7 "
    "--tasks 50": MEASURED,
    ".venv/bin/pre-commit install   # lint on every commit, if you like": "writes into .git",
    'pip install ".[spacy-transformers]"': "needs an older transformers: `make test-spacy-transformers`",
    "python -m spacy init config train.cfg --gpu --pipeline tagger,parser,ner   # with spacy-transformers installed; "
    "or a config that you have": "needs spacy-transformers; the template that it fills is given",
    'pip install "cupy-cuda12x[ctk]"   # of the same major version of CUDA as torch\'s': "not installed without a GPU",
    'python -c "import torch, cupy; print(torch.cuda.is_available(), cupy.cuda.runtime.getDeviceCount())"': "needs "
    "CuPy",
    "python -m pytest -m gpu": "needs a GPU, and these are tests",
    "docker build -t spacy-ptv2 .": "needs an engine and a registry",
    'docker run --rm -p 8000:8000 -v "$PWD/service":/service:ro spacy-ptv2': "needs the image",
    "docker build -t spacy-ptv2-gpu --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu126 --build-arg "
    'EXTRAS=serve --build-arg MORE="cupy-cuda12x[ctk]" .': "needs an engine and a registry",
    'docker run --rm --gpus all -v "$PWD":/data spacy-ptv2-gpu python -m spacy train /data/ner.cfg --output '
    "/data/training --gpu-id 0": "needs the image, and a GPU",
    'pip install ".[scale]"   # from a checkout': SCALE,
    'pip install ".[scale]"   # from a checkout; Spark also needs Java, as in Debian\'s default-jre-headless': SCALE,
    "python examples/ray/annotate.py training/model-best texts.jsonl annotated/ --actors 3": SCALE,
    "python examples/spark/annotate.py training/model-best texts.jsonl annotated/": SCALE,
}
SHORT = "--initialize.before_init.epochs 1 --initialize.before_init.min_steps 4"
CHANGED = {
    " /models/": " models/",  # folders of the machine, here of the page
    " /data/": " data/",
    " /lake/": " lake/",
    "$SLURM_ARRAY_TASK_ID/16": "1/16",  # set by what starts the command
    "$((JOB_COMPLETION_INDEX + 1))/16": "1/16",
    "--trials 12 --group 4": "--trials 2 --group 2",  # as short as other trainings
    "training/tuned_1 --seed 1": "training/tuned_1 --seed 1 --trials 1",
    "train-conll03 .": "train-conll03 . --dry",  # it installs all packages into a new environment; see tests/project
    **({} if torch.cuda.is_available() else {"--gpu-id 0": "--gpu-id -1"}),
}
WITHOUT_NETWORK = {
    "PIP_DRY_RUN": "1",
    "PIP_NO_INDEX": "1",
    "PIP_NO_BUILD_ISOLATION": "0",  # which means none
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}
PACKAGE = ("spacy_ptv2", "configs", "pyproject.toml", "setup.py", "README.md", "MANIFEST.in", "LICENSE")
CHECKOUT = ("configs", "examples", "project", "project.yml")


# What is there after a page.
LEFT = {
    "docs/experiments/tables/parameters.md": "OUT/result.json",
    "docs/guides/comparison.md": "comparison/comparison.md",
    "docs/guides/interchange.md": "model.safetensors",
    "docs/guides/many_adapters.md": "training/trials/slow/model-best/meta.json",
    "docs/guides/migration.md": "training/model-best/transformer/model.safetensors",
    "docs/guides/onnx.md": "recognizer/task.json",
    "docs/guides/packaging.md": "packages/my_mpnet-1.0.0-py3-none-any.whl",
    "docs/guides/reports.md": "report.html",
    "docs/guides/tasks.md": "packages/en_srl-0.0.0-py3-none-any.whl",
}


@pytest.fixture
def folder(reader_folder, tmp_path, monkeypatch):
    """The reader's folder, as a checkout; on a machine whose hub is in this process."""
    folder = shutil.copytree(reader_folder, tmp_path / "folder")
    for name in CHECKOUT:
        (folder / name).symlink_to(ROOT / name)
    monkeypatch.chdir(folder)
    monkeypatch.setenv(OVERRIDE_VARIABLE, str(folder / BACKBONE))
    # Each command makes the tokenizer anew; its two thousand special cases would take half of the time.
    monkeypatch.setattr(English.Defaults, "tokenizer_exceptions", {})
    with serving(monkeypatch, tmp_path / "cache", "hf_of_the_reader"):
        yield folder


@pytest.fixture
def in_this_process(monkeypatch):
    """Let commands that start others, or wait for requests, do so here."""

    def run_commands(commands, dry=False, **options):
        for command in () if dry else commands:
            run_line(command, in_process=True)

    def start(command, **options):
        if "spacy_ptv2.comparison.worker" not in command:
            return run(command, **options)
        worker.run(Path(command[-1]))
        return subprocess.CompletedProcess(command, 0)

    def answer(app, listening):
        with listening, TestClient(app, base_url=server.address_of(listening)) as browser:
            assert "spacy-ptv2 demo" in browser.get("/").text
            assert len(browser.post("/annotate", json={"text": TEXT}).json()["tasks"]) == 2

    run, listen = subprocess.run, server.listen
    monkeypatch.setattr(weasel.cli.run, "run_commands", run_commands)
    monkeypatch.setattr(subprocess, "run", start)
    monkeypatch.setattr(server, "listen", lambda host, port: listen(host, 0))
    monkeypatch.setattr(server, "run", answer)


def run_printed(line):
    words = shlex.split(line, comments=True)
    match words:
        case ["pip", *own] | ["python", "-m", "pip", *own]:
            resolve(own)
        case ["python", "-m", "spacy", name, *_]:
            with pytest.MonkeyPatch.context() as patch:
                if name != "assemble":  # whose config has no training
                    patch.setenv("SPACY_CONFIG_OVERRIDES", SHORT)  # they prevail over those of the line
                run_line(shlex.join(words), in_process=True)
        case ["python", "-m", module, *own]:
            result = CliRunner().invoke(command_of(module), own)
            assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception!r}"
        case ["python", "examples/onnx/annotate.py", *_]:
            subprocess.run([sys.executable, *words[1:]], check=True)
        case ["python", "-c", code, *own]:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, "argv", ["-c", *own])
                exec(code, {})
        case ["torchrun", *own]:
            environment = {**os.environ, "SPACY_CONFIG_OVERRIDES": SHORT, "PYTHONPATH": str(ROOT)}
            subprocess.run([sys.executable, "-m", "torch.distributed.run", *own], check=True, env=environment)
        case ["make", *own]:
            subprocess.run(["make", "-n", *own], cwd=ROOT, check=True, capture_output=True)
        case _:
            pytest.fail(f"neither run nor listed: {line}")


def resolve(arguments):
    """Let pip say what it would install: all of it is here, or is built of a copy of the package."""
    copy = Path("package")
    if not copy.exists():
        copy.mkdir()
        for name in PACKAGE:
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile)(ROOT / name, copy / name)
    environment = {**os.environ, **WITHOUT_NETWORK}
    result = subprocess.run(
        [sys.executable, "-m", "pip", *arguments], cwd=copy, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr


def unpack_wheels(folder, site, monkeypatch):
    """Install what a page packaged."""
    for path in (folder / "packages").glob("en_*.whl"):
        with zipfile.ZipFile(path) as wheel:
            wheel.extractall(site)
        monkeypatch.delitem(sys.modules, path.name.partition("-")[0], raising=False)
    monkeypatch.syspath_prepend(site)
    importlib.invalidate_caches()


def changed(line):
    for old, new in CHANGED.items():
        line = line.replace(old, new)
    return line


def printed_lines(page):
    return [line for line in lines_of(DOCUMENTS[page]) if not line.startswith("#")]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_blocks_run_as_printed(page, folder, in_this_process, tmp_path, monkeypatch):
    GIVEN.get(page, lambda folder: None)(folder)
    for line in printed_lines(page):
        if " verify " in line:
            unpack_wheels(folder, tmp_path / "site-packages", monkeypatch)
        if line not in NOT_RUN:
            run_printed(changed(line))
    assert page not in LEFT or (folder / LEFT[page]).is_file()


@pytest.mark.parametrize(
    "line",
    [
        "python -m spacy ptv2 convert missing.conll train.spacy",
        "python -m benchmarks.accuracy.fine_tuning missing.cfg OUT a.spacy b.spacy c.spacy",
        'python -c "import no_such"',
        "pip install no-such==0.0.1",
        "make no-such",
        "no-such",
    ],
)
def test_what_fails_is_found(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((Exception, pytest.fail.Exception)):
        run_printed(line)


def test_what_is_listed_is_printed_somewhere():
    lines = {line for page in PAGES for line in printed_lines(page)}
    assert set(NOT_RUN) <= lines
    assert all(any(old in line for line in lines - set(NOT_RUN)) for old in CHANGED)
    assert {*GIVEN, *LEFT} <= set(PAGES)


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("bash") and shutil.which("curl")), reason="needs bash and curl")
def test_the_service_is_started_asked_and_stopped(folder):
    """One session of a shell: what is started runs in the background until the last line is done."""
    service = first_block(SERVICE, "json").replace("/models/", f"{folder}/models/")
    (folder / "service.json").write_text(service, encoding="utf8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    session = ["set -e"]
    for line in printed_lines(SERVICE):
        if line.startswith("pip "):
            resolve(shlex.split(line, comments=True)[1:])
        elif line.startswith("uvicorn "):
            ready = "until curl -sf http://localhost:8000/health > ready; do kill -0 $!; sleep 0.2; done"
            session += [f"{line} > log 2>&1 &", "trap 'kill $!; wait' EXIT", ready]
        else:
            session.append(f"{line}; echo" if line.startswith("curl ") else line)
    scripts = Path(sys.executable).parent
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    script = "\n".join(session).replace("8000", port)
    result = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=200)
    assert result.returncode == 0, result.stderr + (folder / "log").read_text()
    lines = result.stdout.splitlines()
    answers, tasks, status, health = (json.loads(line) for line in lines if line.startswith(("[", "{")))
    assert 'spacy_ptv2_requests_total{path="/annotate",status="200"} 1' in lines
    assert [answer["task"] for answer in answers] == ["news", "letters"]
    assert set(tasks["tasks"]) == set(status["tasks"]) == {"news", "letters"} and health
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(port)), timeout=5)
