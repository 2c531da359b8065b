"""The Python of the docs: every block compiles and names what exists, and the blocks of most pages run as printed.

A page's blocks run in order, in one session, over a tiny backbone, and in a folder that has what the pages take for
granted: pipelines under the names that they load, and an exported adapter.
"""

import ast
import builtins
import re
from importlib import import_module
from inspect import isclass, ismodule
from shutil import copytree
from unittest.mock import create_autospec

import pytest
import spacy
from spacy.training import Example

from spacy_ptv2.backbones.source import OVERRIDE_VARIABLE
from spacy_ptv2.packaging import hub

from .conftest import ROOT
from .reader import BACKBONE, TEXT, make_entities

PAGES = {
    path.relative_to(ROOT).as_posix(): path
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    if "```python\n" in path.read_text(encoding="utf8")
}
# What a page speaks of as the reader's own.
GIVEN = {
    "docs/reference/configuration.md": {"batches", "epochs", "folder", "other", "total_steps"},
}
ELSEWHERE = {"README.md", "docs/guides/python.md"}  # run by test_readme.py and test_documentation.py
RUN = [
    "docs/guides/annotate.md",
    "docs/guides/engines.md",
    "docs/guides/interchange.md",
    "docs/guides/many_adapters.md",
    "docs/guides/packaging.md",
    "docs/guides/serving.md",
    "docs/guides/tasks.md",
    "docs/reference/configuration.md",
]


def blocks_of(page):
    return re.findall(r"```python\n(.*?)```", PAGES[page].read_text(encoding="utf8"), flags=re.DOTALL)


def imported_by(tree):
    """Yield the names that a block imports, with what they are."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                module = import_module(alias.name)
                yield alias.asname or alias.name, module
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, getattr(import_module(node.module), alias.name)


def bound_by(tree):
    """Yield the names that a block defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.arg):
            yield node.arg


def resolve(node, imported):
    """Return what a dotted name stands for, as far as it is modules and classes; None for anything else."""
    if isinstance(node, ast.Name):
        return imported.get(node.id)
    owner = resolve(node.value, imported) if isinstance(node, ast.Attribute) else None
    if not (ismodule(owner) or isclass(owner)):
        return None
    assert hasattr(owner, node.attr), ast.unparse(node)
    return getattr(owner, node.attr)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_names_what_exists(page):
    imported, bound = {}, {*dir(builtins), *GIVEN.get(page, ())}
    for block in blocks_of(page):
        tree = ast.parse(block)
        imported |= dict(imported_by(tree))
        bound |= {*imported, *bound_by(tree)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                assert node.id in bound, node.id
            if isinstance(node, ast.Attribute):
                resolve(node, imported)


@pytest.fixture(scope="module")
def reader(reader_folder, tmp_path_factory):
    """A copy of the folder, which the pages write into."""
    return copytree(reader_folder, tmp_path_factory.mktemp("reader") / "folder")


def given_for(page, folder):
    if page not in GIVEN:
        return {}
    nlp, other = (spacy.load(folder / "training" / "model-best") for _ in range(2))
    examples = [Example(nlp.make_doc(TEXT), make_entities(nlp))]
    return {"batches": [examples], "epochs": 1, "total_steps": 1, "folder": folder / "best", "other": other}


@pytest.mark.parametrize("page", RUN)
def test_blocks_run_as_printed(page, reader, monkeypatch, capsys):
    monkeypatch.chdir(reader)
    monkeypatch.setenv(OVERRIDE_VARIABLE, str(reader / BACKBONE))
    from_hub = create_autospec(hub.load, side_effect=lambda name, **settings: spacy.load("en_ptv2_ner"))
    monkeypatch.setattr(hub, "load", from_hub)  # the page's; tests/packaging/test_hub.py loads from a stand-in
    session = given_for(page, reader)
    assert set(session) == GIVEN.get(page, set())
    for block in blocks_of(page):
        exec(block.replace('"/models', f'"{reader}/models'), session)
