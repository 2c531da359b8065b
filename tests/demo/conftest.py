"""Saved pipelines of each kind over one tiny backbone, made once, and a bank of them."""

import pytest

from spacy_ptv2.demo.loading import load_tasks

from ..tiny import save_tiny_backbone
from . import kinds


@pytest.fixture(scope="session")
def backbone(tmp_path_factory):
    return save_tiny_backbone(tmp_path_factory.mktemp("demo") / "backbone", "bert", deviation=0.15)


@pytest.fixture(scope="session")
def folder_of(backbone, tmp_path_factory):
    """Return the folder of a pipeline of a kind."""
    root, made = tmp_path_factory.mktemp("pipelines"), {}

    def folder(kind):
        if kind not in made:
            made[kind] = str(root / kind)
            kinds.build(kind, backbone).to_disk(root / kind)
        return made[kind]

    return folder


@pytest.fixture(scope="session")
def load(folder_of):
    """Return a bank of pipelines of some kinds, and what they offer."""
    return lambda *names: load_tasks({name: folder_of(name) for name in names})
