"""The callable for other engines: dicts and data frames in and out, also after pickling."""

import json
import pickle

import numpy as np
import pytest
import spacy

from spacy_ptv2.bulk import Annotator
from spacy_ptv2.bulk import pipelines as pipelines_module
from spacy_ptv2.errors import PTuningError
from spacy_ptv2.serving.annotations import to_json

from .conftest import make_texts


def test_a_dict_of_columns(pipelines):
    texts = make_texts(20)
    batch = {"id": np.arange(24), "body": np.array([*texts, None, np.nan, 7, np.str_("London")], dtype=object)}
    annotate = pickle.loads(pickle.dumps(Annotator(pipelines, text="body", annotations="found", problem="why")))
    got = annotate(batch)
    assert list(got) == ["id", "body", "found", "why"] and got["id"] is batch["id"]
    assert got["found"][20:23] == [None] * 3 and "London" in got["found"][23]
    assert got["why"] == [None] * 20 + ["expected a text, got none"] * 2 + ["expected a text, got a int", None]
    nlp = spacy.load(pipelines["other"])
    for text, found in zip(texts, got["found"], strict=False):
        entities = [(e["start"], e["label"]) for e in json.loads(found)["other"]["entities"]]
        assert entities == [(e["start"], e["label"]) for e in to_json(nlp(text), "other")["entities"]]


class NAType:
    """What is used of pandas' NA: it equals nothing, and says neither that it does nor that it does not."""

    def __ne__(self, other):
        return self

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")


def test_what_stands_for_no_text(pipelines):
    annotate = Annotator({"ner": pipelines["ner"]})
    nothing = [None, float("nan"), np.float32("nan"), NAType()]
    other = [7, ["London"], np.array(["London", "Paris"])]
    got = annotate.annotate([*nothing, *other])
    assert got == ["expected a text, got none"] * 4 + [
        f"expected a text, got a {n}" for n in ("int", "list", "ndarray")
    ]


def test_a_data_frame(pipelines):
    class Frame:
        """What is used of pandas' own; `make test-scale` has that."""

        def __init__(self, **columns):
            self.columns = columns

        def __getitem__(self, name):
            return self.columns[name]

        def assign(self, **columns):
            return Frame(**self.columns, **columns)

    annotate = Annotator(pipelines["ner"])
    got = annotate(Frame(text=["Peter works in London"]))
    assert type(got) is Frame and list(json.loads(got["annotations"][0])) == ["ner"]
    assert list(got.columns) == ["text", "annotations", "problem"]


def test_pipelines_are_loaded_once_and_late(pipelines, monkeypatch):
    loaded = []
    original = pipelines_module.load_pipeline
    monkeypatch.setattr(pipelines_module, "load_pipeline", lambda name: loaded.append(name) or original(name))
    pipelines_module.load_once.cache_clear()
    first, second = (Annotator(f"a={pipelines['ner']}") for _ in range(2))
    assert loaded == []
    first({"text": ["London"]})
    second({"text": ["London"]})
    assert loaded == [pipelines["ner"]]


def test_pipelines_that_are_not_there(tmp_path):
    with pytest.raises(PTuningError, match="P790"):
        Annotator(["a/x", "b/x"])
    with pytest.raises(PTuningError, match="P792"):
        Annotator(str(tmp_path))({"text": ["a"]})
