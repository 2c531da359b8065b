"""Tiny models that adapters of other libraries are trained on."""

import pytest
from transformers import AutoModel

from ..tiny import save_tiny_backbone


@pytest.fixture(scope="module", params=["bert", "roberta"])
def folder(request, tmp_path_factory):
    return save_tiny_backbone(tmp_path_factory.mktemp("backbone") / request.param, request.param, deviation=0.15)


@pytest.fixture(scope="module")
def long_folder(tmp_path_factory):
    """A tiny BERT with room for the default windows."""
    return save_tiny_backbone(tmp_path_factory.mktemp("long") / "bert", "bert", max_position_embeddings=256)


@pytest.fixture
def base(folder):
    return AutoModel.from_pretrained(folder).eval()
