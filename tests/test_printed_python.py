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
from spacy.tokens import DocBin, Span
from spacy.training import Example
from spacy.training.initialize import init_nlp
from thinc.config import Config

from spacy_ptv2.annotations.names import ANSWERS, QUESTIONS, SECOND_TEXT, add_extension
from spacy_ptv2.backbones.source import OVERRIDE_VARIABLE
from spacy_ptv2.interchange.pipelines import export_adapter
from spacy_ptv2.packaging import hub
from spacy_ptv2.shipped import shipped_text

from .conftest import ROOT
from .tiny import save_tiny_backbone

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
TEXT = "Kim gave Lee a book yesterday."


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


def make_roles(nlp):
    doc = nlp.make_doc(TEXT)
    doc.spans["predicates"] = [doc[1:2]]
    doc.spans["roles"] = [Span(doc, 0, 1, "ARG0", span_id="0"), Span(doc, 3, 5, "ARG1", span_id="0")]
    return doc


def make_pair(nlp):
    doc = nlp.make_doc(TEXT)
    doc._.second_text, doc.cats = "Lee has it.", {"same": 1.0, "other": 0.0}
    return doc


def make_question(nlp):
    doc = nlp.make_doc(TEXT)
    doc._.questions, doc._.answers = ["Who gave?"], [[{"answer": "Kim", "start": 0, "end": 3}]]
    return doc


def make_entities(nlp):
    doc = nlp.make_doc(TEXT)
    doc.ents = [Span(doc, 0, 1, "PER")]
    for token in doc:
        token.tag_ = "NN" if token.is_alpha else "."
    return doc


# Name of a pipeline: its shipped config, and what it learns from.
PIPELINES = {
    "en_ptv2_ner": ("ner", make_entities),
    "en_srl": ("srl", make_roles),
    "en_frames": ("frames", make_roles),
    "en_squad": ("squad", make_question),
    "en_pairs": ("pairs", make_pair),
}
COPIES = {"en_ptv2_news": "en_ptv2_ner", "models/letters": "en_ptv2_ner", "training/model-best": "en_ptv2_ner"}


def save_shipped(name, folder):
    """Save an initialised, untrained pipeline of a shipped config."""
    for attribute in (QUESTIONS, ANSWERS, SECOND_TEXT):
        add_extension(attribute)
    task, make_doc = PIPELINES[name]
    corpus = folder / f"{task}.spacy"
    DocBin(docs=[make_doc(spacy.blank("en"))], store_user_data=True).to_disk(corpus)
    overrides = {"paths.train": str(corpus), "paths.dev": str(corpus), "initialize.before_init.min_steps": 2}
    config = Config().from_str(shipped_text(task), overrides={**overrides, "initialize.before_init.epochs": 1})
    init_nlp(config).to_disk(folder / name)


def save_tagger(folder):
    nlp = spacy.blank("en")
    nlp.add_pipe("ptuning_transformer", name="transformer")
    listener = {"@architectures": "spacy_ptv2.PTuningListener.v1"}
    nlp.add_pipe("tagger", config={"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": listener}})
    doc = make_entities(nlp)
    nlp.initialize(lambda: [Example(nlp.make_doc(doc.text), doc)])
    nlp.to_disk(folder / "en_ptv2_tagger")


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """The folder of someone who reads the docs."""
    folder = tmp_path_factory.mktemp("reader")
    for name in ("models/all-MiniLM-L6-v2", "bert-base-uncased"):
        save_tiny_backbone(folder / name, "bert", max_position_embeddings=512)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(OVERRIDE_VARIABLE, str(folder / "models" / "all-MiniLM-L6-v2"))
        for name in PIPELINES:
            save_shipped(name, folder)
        save_tagger(folder)
        for copy, name in COPIES.items():
            copytree(folder / name, folder / copy)
        export_adapter(spacy.load(folder / "en_ptv2_ner"), folder / "adapter", "peft")
    return folder


def given_for(page, folder):
    if page not in GIVEN:
        return {}
    nlp, other = (spacy.load(folder / "training" / "model-best") for _ in range(2))
    examples = [Example(nlp.make_doc(TEXT), make_entities(nlp))]
    return {"batches": [examples], "epochs": 1, "total_steps": 1, "folder": folder / "best", "other": other}


@pytest.mark.parametrize("page", RUN)
def test_blocks_run_as_printed(page, reader, monkeypatch, capsys):
    monkeypatch.chdir(reader)
    monkeypatch.setenv(OVERRIDE_VARIABLE, str(reader / "models" / "all-MiniLM-L6-v2"))
    from_hub = create_autospec(hub.load, side_effect=lambda name, **settings: spacy.load("en_ptv2_ner"))
    monkeypatch.setattr(hub, "load", from_hub)  # the page's; tests/packaging/test_hub.py loads from a stand-in
    session = given_for(page, reader)
    assert set(session) == GIVEN.get(page, set())
    for block in blocks_of(page):
        exec(block.replace('"/models', f'"{reader}/models'), session)
