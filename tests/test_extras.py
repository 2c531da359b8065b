"""Without a package that only an extra brings, the error says what to install."""

import pytest
import spacy
from thinc.api import Model, reduce_mean

from benchmarks.lib import pipelines
from spacy_ptv2 import architectures
from spacy_ptv2.errors import PTuningError


def test_the_drop_in_without_spacy_transformers(monkeypatch):
    monkeypatch.setattr(architectures, "find_spec", lambda name: None)
    line = r"P215.*`pip install 'spacy-ptv2\[spacy-transformers\]'`"
    with pytest.raises(PTuningError, match=line):
        spacy.registry.resolve({"model": {"@architectures": "spacy_ptv2.TransformerModel.v1", "name": "not/here"}})
    with pytest.raises(PTuningError, match=line):  # of a pipeline whose `transformer` has gone
        architectures.build_replaced_transformer_listener_v1(Model("any", lambda *given: given), reduce_mean())


def test_what_compares_with_spacy_transformers_without_it(monkeypatch):
    monkeypatch.setattr(pipelines, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"`make install-spacy-transformers`.*.venv-spacy-transformers/bin/python"):
        pipelines.baseline_config()
