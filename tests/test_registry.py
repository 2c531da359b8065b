"""The entry points of pyproject.toml are the public list: each is registered under its name, and nothing else is."""

import inspect
import subprocess
import sys
from dataclasses import is_dataclass
from importlib import import_module

import pytest
import spacy
import tomllib
from spacy.language import Language

from benchmarks.speed.import_time import BLANK

from .conftest import ROOT

FACTORIES = {
    "pair_classifier",
    "predicate_finder",
    "ptuning_transformer",
    "question_answerer",
    "role_labeler",
    "shared_backbone",
    "span_labeler",
    "text_classifier",
    "token_classifier",
}
REGISTRIES = ("architectures", "misc", "readers", "scorers", "callbacks", "loggers", "optimizers", "schedules")


def entry_points():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    return {group.partition("_")[2]: entries for group, entries in project["entry-points"].items()}


TABLE = entry_points()
FUNCTIONS = [(group, name, target) for group in REGISTRIES for name, target in TABLE[group].items()]


@pytest.mark.parametrize(("group", "name", "target"), FUNCTIONS, ids=[name for _, name, _ in FUNCTIONS])
def test_registered_functions_are_those_of_the_table(group, name, target):
    module, _, attribute = target.partition(":")
    found = spacy.registry.get(group, name)
    assert found is getattr(import_module(module), attribute)
    assert found.__doc__
    assert not inspect.isclass(found) or is_dataclass(found)  # settings that check themselves


@pytest.mark.parametrize("group", REGISTRIES)
def test_nothing_else_is_registered(group):
    registered = getattr(spacy.registry, group).get_all()
    assert {name for name in registered if name.startswith("spacy_ptv2.")} == set(TABLE[group])


@pytest.mark.parametrize(("group", "name", "target"), FUNCTIONS, ids=[name for _, name, _ in FUNCTIONS])
def test_names_say_what_they_build_and_their_version(group, name, target):
    package, title, version = name.split(".")
    built = target.partition(":")[2]
    if group == "misc" and not built.startswith("build_"):  # options, which have no version in the code
        assert built in (title, f"{title}Options", f"{title.removesuffix('s')}Options", f"{title}Source")
        return
    words = built.removeprefix("build_").rsplit("_", 1)
    assert (package, words[1]) == ("spacy_ptv2", version)
    assert words[0].replace("_", "") == title.replace("_", "").lower()


def test_factories():
    assert set(TABLE["factories"]) == FACTORIES
    nlp = spacy.blank("en")
    for name in FACTORIES:
        assert Language.has_factory(name) or nlp.has_factory(name)


@pytest.mark.parametrize("name", sorted(FACTORIES))
def test_every_factory_builds_its_default_model(name):
    """Without a backbone on this machine, and without a config of one's own."""
    assert spacy.blank("en").add_pipe(name) is not None


def test_command_line():
    assert TABLE["cli"] == {"ptv2": "spacy_ptv2.cli:app"}


def test_starting_spacys_command_line_loads_neither_torch_nor_transformers():
    """Our entry points are imported at every `spacy` call, whoever makes it."""
    code = "import sys, spacy_ptv2.cli, spacy_ptv2; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    plain = "import sys, spacy.cli; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    ours, theirs = (
        subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout
        for text in (code, plain)
    )
    assert ours == theirs


def modules_after(code, *arguments):
    """Return what a fresh process has imported once it has run some code."""
    command = [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)", *arguments]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_making_any_pipeline_loads_nothing_heavy():
    """spaCy imports all factories whenever a `Language` is made, also for who does not use ours."""
    found = modules_after(BLANK, "spacy_transformers") - modules_after(BLANK, "spacy_transformers,spacy_ptv2")
    assert "spacy_ptv2.pipeline.factories" in found
    assert {name.partition(".")[0] for name in found} <= {"spacy_ptv2", "platformdirs", "numpy"}


def test_layers_are_loaded_when_one_is_built_and_what_scores_when_something_is_scored():
    found = modules_after("import spacy_ptv2.architectures, spacy_ptv2.scoring.entities")
    assert not found & {"spacy_ptv2.layers", "spacy_ptv2.adapters", "transformers"}
    found = modules_after("import spacy; spacy.blank('en').add_pipe('token_classifier')")
    assert found >= {"spacy_ptv2.layers", "spacy_ptv2.scoring.entities"}
    assert "seqeval" not in found
