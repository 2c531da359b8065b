"""A trained tiny pipeline, and packages of it as pip would leave them."""

import zipfile
from pathlib import Path

import pytest

from spacy_ptv2.packaging.wheels import package_pipeline

from ..tiny import build_pipeline, train


@pytest.fixture(scope="session")
def pipeline(tiny_folder, corpus, tmp_path_factory) -> Path:
    """The folder of a trained pipeline."""
    nlp = build_pipeline(tiny_folder, corpus)
    train(nlp, corpus, steps=30)
    folder = tmp_path_factory.mktemp("packaging") / "trained"
    nlp.to_disk(folder)
    return folder


@pytest.fixture(scope="session")
def wheel(pipeline, tmp_path_factory) -> Path:
    """Its slim wheel."""
    return package_pipeline(pipeline, tmp_path_factory.mktemp("wheels"), name="slim", version="1.0.0")


@pytest.fixture
def unpacked(wheel, tmp_path) -> Path:
    """The folder of the package that is in the wheel."""
    return unpack(wheel, tmp_path / "site") / "en_slim"


def unpack(wheel: Path, site: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site
