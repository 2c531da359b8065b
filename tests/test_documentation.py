"""What the README and the docs say is there is there, and their Python runs."""

import inspect
import re
from importlib import import_module

import pytest
import spacy

from .conftest import ROOT
from .test_registry import FUNCTIONS, TABLE
from .tiny import build_pipeline, train

README = (ROOT / "README.md").read_text(encoding="utf8")
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf8")
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + [
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "benchmarks").rglob("*.md"),
    *(ROOT / "examples").rglob("*.md"),
]


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_two_setup_commands_are_targets_and_ci_calls_the_second():
    setup = README.split("## Set up")[1].split("\n## ")[0]
    commands = [
        line for block in re.findall(r"```bash\n(.*?)```", setup, flags=re.DOTALL) for line in block.splitlines()
    ]
    assert commands[:2] == ["make quickstart", "make test"]
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{command.split()[1]}:", makefile, flags=re.MULTILINE) for command in commands[:2])
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_shell_commands_name_what_exists():
    project = (ROOT / "project.yml").read_text()
    for block in blocks("bash"):
        for workflow in re.findall(r"spacy project run ([\w-]+)", block):
            assert f"\n  {workflow}:" in project
        for path in re.findall(r"configs/\S+\.cfg", block):
            assert (ROOT / path).is_file()
        for package in re.findall(r"pip install --no-deps (\S+)", block):
            assert package in (ROOT / "Makefile").read_text()


def test_python_of_the_readme_runs(tiny_folder, corpus, monkeypatch, tmp_path, capsys):
    trained = build_pipeline(tiny_folder, corpus)
    trained.rename_pipe("ptuning_transformer", "transformer")
    train(trained, corpus)
    trained.to_disk(tmp_path / "en_ptv2_ner")
    load = spacy.load
    monkeypatch.setattr(spacy, "load", lambda name, **settings: load(tmp_path / name, **settings))
    monkeypatch.setenv("SPACY_PTV2_BACKBONE", "")  # the README sets it; it is put back behind the test
    session: dict[str, object] = {}
    for block in blocks("python"):
        exec(block.replace("/models/all-MiniLM-L6-v2", str(tiny_folder)), session)
    assert "PER" in capsys.readouterr().out


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_inside_the_repository_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text(encoding="utf8")):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("name", [*(name for _, name, _ in FUNCTIONS), *TABLE["factories"]])
def test_every_registered_name_is_documented(name):
    assert f"`{name}`" in CONFIGURATION


@pytest.mark.parametrize(("group", "name", "target"), FUNCTIONS, ids=[name for _, name, _ in FUNCTIONS])
def test_every_setting_is_documented(group, name, target):
    module, _, attribute = target.partition(":")
    if name.startswith("spacy_ptv2.Replaced"):
        return  # written by replace_listeners, never by hand
    for setting in inspect.signature(getattr(import_module(module), attribute)).parameters:
        assert f"`{setting}`" in CONFIGURATION, f"{name}: {setting}"
