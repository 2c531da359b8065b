"""Pipelines whose backbone runs in OpenVINO: the same annotations, in this process and in others."""

import json
import os
import subprocess
import sys

import pytest

from spacy_ptv2.backbones import sizes
from spacy_ptv2.engines import graph_cache
from spacy_ptv2.engines.openvino_graph import has_openvino

from ..tiny import build_pipeline, train

pytestmark = pytest.mark.skipif(not has_openvino(), reason="needs `pip install openvino`")

TEXTS = ["Acme opens Danish office.", "Peter Hansen", "", "John works in New York."] * 5

# Workers before this process has used an engine, the process itself, workers afterwards.
SCRIPT = """
import json, sys, warnings
import spacy
from spacy_ptv2.engines.engine import Engine
warnings.simplefilter("always")
nlp = spacy.load(sys.argv[1])
found = []
for n_process in (2, 1, 2):
    docs = nlp.pipe(json.loads(sys.argv[2]), n_process=n_process)
    found.append([[[ent.text, ent.label_] for ent in doc.ents] for doc in docs])
    print(f"in use: {Engine.started_in is not None}", file=sys.stderr, flush=True)
print(json.dumps(found))
"""


@pytest.fixture
def trained(tiny_folder, corpus):
    nlp = build_pipeline(tiny_folder, corpus, engine="torch")
    train(nlp, corpus)
    return nlp


def entities(docs):
    return [[[ent.text, ent.label_] for ent in doc.ents] for doc in docs]


def test_annotates_the_same(trained, tiny_folder, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(graph_cache, "_cache_folder", lambda: tmp_path / "graphs")
    monkeypatch.setattr(sizes, "_cache_folder", lambda: tmp_path / "sizes")
    other = build_pipeline(tiny_folder, corpus, engine="openvino")
    other.from_bytes(trained.to_bytes(exclude=["tokenizer"]), exclude=["tokenizer"])
    expected = entities(trained.pipe(TEXTS))
    assert any(expected)
    assert entities(other.pipe(TEXTS)) == expected
    assert list((tmp_path / "graphs").glob("*/graph.xml"))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked on POSIX only")
def test_workers(trained, tmp_path):
    """They start engines of their own; those of a process that had used one would wait for ever, and do without."""
    expected = entities(trained.pipe(TEXTS))
    settings = trained.config["components"]["ptuning_transformer"]["model"]
    settings["runtime"]["engine"], settings["backbone"]["dtype"] = "openvino", "float32"
    trained.to_disk(tmp_path / "model")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "model"), json.dumps(TEXTS)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    assert json.loads(run.stdout) == [expected] * 3
    before, alone, after = run.stderr.split("in use: ")[0], *run.stderr.split("in use: ")[1:3]
    assert "PW07" not in before and alone.startswith("False") and "PW07" not in alone
    assert after.startswith("True") and "[PW07]" in after and "forked" in after
