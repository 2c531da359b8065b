"""The README is short, and its blocks run as printed, in order, in an empty folder; the two set-up commands apart.

What is the user's own is given: a file with entities, and short training, by lines of the config that `init` writes.
"""

import re
import subprocess
import sys

import pytest
import spacy

from .conftest import ROOT, WIKIGOLD
from .test_workflows import run_line
from .tiny import save_tiny_backbone

README = (ROOT / "README.md").read_text(encoding="utf8")
MOST_LINES, MOST_WORDS = 120, 30
N_LINES = 3000  # of Wikigold
LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")


def blocks_of(title):
    section = README.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"```(\w+)\n(.*?)```", section, flags=re.DOTALL)


def test_it_is_short():
    assert len(README.splitlines()) <= MOST_LINES
    text = re.sub(r"```.*?```|^\|.*?$|^#.*?$", "\n\n", README, flags=re.DOTALL | re.MULTILINE)
    for paragraph in re.split(r"\n\n|\n- ", LINK.sub(r"\1", text)):
        for sentence in re.split(r"(?<=[.:;!?])\s", paragraph):
            assert len(sentence.split()) <= MOST_WORDS, sentence


def test_every_block_is_run():
    run = [("python", "Train in ten lines"), ("bash", "Set up"), ("bash", "Train on your own data")]
    sections = {title for _, title in run}
    assert README.count("```") == 2 * sum(len(blocks_of(title)) for title in sections)


@pytest.mark.real
@pytest.mark.slow
def test_ten_lines_train_and_predict(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ((language, code),) = blocks_of("Train in ten lines")
    assert language == "python"
    exec(code, {})
    assert "Berlin" in capsys.readouterr().out.splitlines()[-1]
    assert spacy.load("people").get_pipe("token_classifier").labels == ("PERSON", "PLACE")


def shorten(config):
    text = config.read_text()
    for name, value in (("epochs", 1), ("min_steps", 12)):
        text, n = re.subn(rf"^{name} = \d+$", f"{name} = {value}", text, flags=re.MULTILINE)
        assert n == 1
    config.write_text(text)


def test_from_a_file_to_an_installed_wheel(tmp_path, monkeypatch, capsys):
    folder, packages = tmp_path / "empty", tmp_path / "site-packages"
    for path in (folder, packages):
        path.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv(
        "SPACY_PTV2_BACKBONE", str(save_tiny_backbone(tmp_path / "b", "bert", max_position_embeddings=512))
    )
    lines = WIKIGOLD.read_text(encoding="utf8").splitlines()[:N_LINES]
    (folder / "texts.conll").write_text("\n".join(lines), encoding="utf8")
    for name, value in (("TARGET", packages), ("NO_DEPS", "1"), ("NO_INDEX", "1")):
        monkeypatch.setenv(f"PIP_{name}", str(value))
    monkeypatch.syspath_prepend(str(packages))
    (_, own), (_, install), (language, use) = blocks_of("Train on your own data")
    for line in (own + install).splitlines():
        if line.startswith("pip "):
            subprocess.run([sys.executable, "-m", *line.split()], check=True, capture_output=True)
        else:
            run_line(line, in_process=True)
        if line.endswith("init ner"):
            shorten(folder / "ner.cfg")
    session = {}
    exec(use, session)
    assert language == "python" and session["nlp"].meta["name"] == "ner"
    assert len(session["doc"].spans["ents"].attrs["scores"]) == len(session["doc"].ents)
