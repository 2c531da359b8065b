"""Without a package that only an extra brings, the error says what to install."""

from importlib.util import find_spec

import pytest
import spacy
from spacy.language import Language
from spacy.util import load_config, load_model_from_config
from thinc.api import Model, reduce_mean

from benchmarks import pipelines
from spacy_ptv2 import architectures
from spacy_ptv2.errors import PTuningError
from spacy_ptv2.pipeline import stand_in

from .conftest import ROOT


def test_the_drop_in_without_spacy_transformers(monkeypatch):
    monkeypatch.setattr(architectures, "find_spec", lambda name: None)
    line = r"P215.*`pip install 'spacy-ptv2\[spacy-transformers\]'`"
    with pytest.raises(PTuningError, match=line):
        spacy.registry.resolve({"model": {"@architectures": "spacy_ptv2.TransformerModel.v1", "name": "not/here"}})
    with pytest.raises(PTuningError, match=line):  # of a pipeline whose `transformer` has gone
        architectures.build_replaced_transformer_listener_v1(Model("any", lambda *given: given), reduce_mean())


@pytest.mark.skipif(find_spec("spacy_transformers") is not None, reason="spacy-transformers has the factory here")
def test_its_factory_without_spacy_transformers():
    line = r"P216.*`pip install 'spacy-ptv2\[spacy-transformers\]'`"
    with pytest.raises(PTuningError, match=line):  # names span getters, a registry of that package, as well
        load_model_from_config(load_config(ROOT / "configs" / "finetune_ner.cfg"), auto_fill=True)
    with pytest.raises(PTuningError, match=line):
        spacy.blank("en").add_pipe("transformer")


def test_the_factory_of_another_package_stays(monkeypatch):
    monkeypatch.setattr(stand_in, "find_spec", lambda name: None)
    monkeypatch.setattr(stand_in, "NAME", "token_classifier")
    before = Language.get_factory_meta("token_classifier")
    stand_in.register_stand_in()
    assert Language.get_factory_meta("token_classifier") is before


def test_what_compares_with_spacy_transformers_without_it(monkeypatch):
    monkeypatch.setattr(pipelines, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"`make install-spacy-transformers`.*.venv-spacy-transformers/bin/python"):
        pipelines.baseline_config()
