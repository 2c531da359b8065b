"""A fold of Wikigold has no sentence twice, and all folds together test each once; CoNLL04 keeps its entities."""

import json
from collections import Counter

import spacy
from spacy.tokens import DocBin

from benchmarks import corpora
from benchmarks.pipelines import read_corpus


def read(path):
    return list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))


def entities(docs):
    return Counter((doc.text, ent.text, ent.label_) for doc in docs for ent in doc.ents)


def test_folds(tmp_path):
    corpora.wikigold(tmp_path, folds=5)
    whole = entities(read_corpus(None, spacy.blank("en").vocab))
    tested = Counter()
    for fold in range(5):
        parts = [entities(read(tmp_path / f"fold-{fold}" / f"{name}.spacy")) for name in ("train", "dev", "test")]
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
        (doc,) = read(tmp_path / "spacy" / f"{name}.spacy")
        assert [(ent.text, ent.label_) for ent in doc.ents] == [("Mary", "Peop"), ("Paris", "Loc")]
