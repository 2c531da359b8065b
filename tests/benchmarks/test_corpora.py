"""A fold of Wikigold has no sentence twice, and all folds together test each once; CoNLL04 keeps its entities."""

import json
from collections import Counter

import pytest
import spacy

from benchmarks.accuracy import corpora
from benchmarks.lib.pipelines import read_corpus


def entities(path):
    """What is annotated in a corpus, None for Wikigold."""
    docs = read_corpus(path, spacy.blank("en").vocab)
    return Counter((doc.text, ent.text, ent.label_) for doc in docs for ent in doc.ents)


@pytest.mark.exhaustive
def test_folds(tmp_path):
    corpora.wikigold(tmp_path, folds=5)
    whole = entities(None)
    tested = Counter()
    for fold in range(5):
        parts = [entities(tmp_path / f"fold-{fold}" / f"{name}.spacy") for name in ("train", "dev", "test")]
        assert all(parts)
        assert sum((part for part in parts), Counter()) <= whole
        tested += parts[2]
    assert tested == whole


def test_conll04(tmp_path):
    row = {"tokens": ["Mary", "lives", "in", "Paris", "."], "entities": [{"type": "Peop", "start": 0, "end": 1}]}
    row["entities"].append({"type": "Loc", "start": 3, "end": 4})
    for name in ("train", "dev", "test"):
        (tmp_path / f"conll04_{name}.json").write_text(json.dumps([row]), encoding="utf8")
    corpora.conll04(tmp_path, tmp_path / "spacy")
    for name in ("train", "dev", "test"):
        (doc,) = read_corpus(tmp_path / "spacy" / f"{name}.spacy", spacy.blank("en").vocab)
        assert [(ent.text, ent.label_) for ent in doc.ents] == [("Mary", "Peop"), ("Paris", "Loc")]
