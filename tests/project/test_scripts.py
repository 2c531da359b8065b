"""The scripts of the workflows, and project.yml itself."""

import re
import subprocess
import sys

import pytest
from weasel.schemas import ProjectConfigSchema, validate
from weasel.util.config import load_project_config

from spacy_ptv2.corpora.conll import count_corpus, read_conll

from ..conftest import ROOT, WIKIGOLD
from ..tiny import TRAIN_CONLL

SCRIPTS = ROOT / "project" / "scripts"
PROJECT = load_project_config(ROOT, interpolate=False)
COMMANDS = {command["name"]: command for command in PROJECT["commands"]}


def run_script(name, *arguments):
    command = [sys.executable, str(SCRIPTS / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf8", check=False)


def one_line(text):
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())


def test_project_file_is_valid():
    assert validate(ProjectConfigSchema, PROJECT) == []
    for steps in PROJECT["workflows"].values():
        assert set(steps) <= set(COMMANDS)
    assert {step for steps in PROJECT["workflows"].values() for step in steps} == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_every_command_declares_what_it_needs_and_leaves(command):
    files = re.findall(r"(?:project|configs)/[\w./-]+\.(?:py|cfg|txt)", " ".join(command["script"]))
    assert all((ROOT / file).is_file() for file in files)
    assert command["outputs"]
    if not command.get("no_skip"):
        assert command["deps"]
    script = " ".join(command["script"])
    for path in [*command.get("deps", []), *command["outputs"]]:
        assert path in script or path.rsplit("/", 1)[0] in script, path


@pytest.mark.parametrize("workflow", PROJECT["workflows"])
def test_what_a_step_needs_an_earlier_step_leaves(workflow):
    left = set()
    for step in PROJECT["workflows"][workflow]:
        for path in COMMANDS[step].get("deps", []):
            assert path in left or (ROOT / path).is_file(), f"{step} needs {path}"
        left.update(COMMANDS[step]["outputs"])


def test_split_is_fixed_and_by_document(tmp_path):
    assert run_script("split_wikigold.py", WIKIGOLD, tmp_path).returncode == 0
    parts = {name: read_conll(tmp_path / f"{name}.txt") for name in ("train", "dev", "test")}
    assert {name: len(documents) for name, documents in parts.items()} == {"train": 117, "dev": 14, "test": 14}
    assert {name: count_corpus(documents).entities for name, documents in parts.items()} == {
        "train": 2995,
        "dev": 317,
        "test": 246,
    }
    whole = read_conll(WIKIGOLD)
    assert [parts["dev"][0], parts["test"][0]] == whole[8:10]
    assert [document for i, document in enumerate(whole) if i % 10 < 8] == parts["train"]


def test_absent_conll_names_the_variable_and_the_free_workflow(tmp_path):
    (tmp_path / "train.txt").write_text(TRAIN_CONLL)
    result = run_script("find_conll2003.py", tmp_path, tmp_path / "corpus")
    message = one_line(result.stdout + result.stderr)
    assert result.returncode == 1
    assert "dev (dev.txt or valid.txt or eng.testa), test (test.txt or eng.testb) missing" in message
    assert "--vars.conll03 FOLDER" in message
    assert "spacy project run quickstart" in message
    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize("names", [("train.txt", "dev.txt", "test.txt"), ("eng.train", "eng.testa", "eng.testb")])
def test_other_counts_than_the_published_are_warned_of(tmp_path, names):
    for name in names:
        (tmp_path / name).write_text(TRAIN_CONLL)
    result = run_script("find_conll2003.py", tmp_path, tmp_path / "corpus")
    message = one_line(result.stdout + result.stderr)
    assert result.returncode == 0
    assert message.count("is not the published CoNLL-2003") == 3
    assert "sentences=14041, tokens=203621, entities=23499" in message
    assert {path.name for path in (tmp_path / "corpus").iterdir()} == {"train.txt", "dev.txt", "test.txt"}


def test_malformed_conll_is_refused_with_file_and_line(tmp_path):
    for name in ("train.txt", "dev.txt", "test.txt"):
        (tmp_path / name).write_text("A NN B-NP O\nB\n")
    result = run_script("find_conll2003.py", tmp_path, tmp_path / "corpus")
    assert result.returncode == 1
    assert "train.txt:2: expected at least two columns" in one_line(result.stdout + result.stderr)
    assert "Traceback" not in result.stderr
