"""What an earlier process kept lets a later one start without the code and the weights of the model."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from spacy_ptv2.adapters.lora import LoRA
from spacy_ptv2.backbones import sizes as kept_sizes
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.engines import engine as engines
from spacy_ptv2.engines import graph_cache
from spacy_ptv2.engines.graph_inputs import GraphForm
from spacy_ptv2.engines.openvino_graph import has_openvino
from spacy_ptv2.errors import BackboneError

from ..adapters.test_joint_pass import EVAL, build, make_batch
from ..pipeline.test_engines import TEXTS, entities
from ..pipeline.test_pipeline import build_pipeline, train
from ..tiny import save_tiny_backbone
from .test_engines import ROWS, kept, read

pytestmark = [
    pytest.mark.skipif(not has_openvino(), reason="needs `pip install openvino`"),
    pytest.mark.usefixtures("own_backbones"),
]
LOOSE = {"atol": 0.2, "rtol": 0.2}
HEAVY = (
    "transformers.modeling_utils",
    "transformers.generation",
    "torch._dynamo",
    "torch.distributed.tensor",
    "sympy",
    "scipy",
    "sklearn",
    "accelerate",
    "matplotlib",
    "optuna",
    "spacy_ptv2.injection.families",
    "spacy_ptv2.engines.graph",
)
START = """
import json, sys
import spacy
nlp = spacy.load(sys.argv[1])
found = [[[ent.text, ent.label_] for ent in doc.ents] for doc in nlp.pipe(json.loads(sys.argv[2]))]
print(json.dumps([found, [name for name in json.loads(sys.argv[3]) if name in sys.modules]]))
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The caches of graphs and of sizes, in folders of their own. RETURNS: That of graphs."""
    monkeypatch.setattr(graph_cache, "_cache_folder", lambda: tmp_path / "graphs")
    monkeypatch.setattr(kept_sizes, "_cache_folder", lambda: tmp_path / "sizes")
    return tmp_path / "graphs"


def load(tmp_path, name="bert", **source):
    """A tiny BERT in a folder of its own; `name` makes it another object, of the same files."""
    folder = tmp_path / name
    return get_backbone(BackboneSource(str(save_tiny_backbone(folder, "bert", deviation=0.15)), **source))


def is_loaded(backbone):
    return backbone._model is not None


@pytest.mark.slow
def test_a_second_process_imports_nothing_heavy(tiny_folder, corpus, tmp_path):
    nlp = build_pipeline(tiny_folder, corpus, engine="openvino")
    train(nlp, corpus)
    nlp.config["components"]["ptuning_transformer"]["model"]["backbone"]["dtype"] = "float32"
    nlp.to_disk(tmp_path / "model")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", START, str(tmp_path / "model"), json.dumps(TEXTS), json.dumps(HEAVY)]
    (first, imported), (second, imported_later) = (
        json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
        for _ in range(2)
    )
    assert first == second and any(first) and first == entities(nlp.pipe(TEXTS))
    assert "transformers.modeling_utils" in imported
    # older versions of transformers load their models with the tokenizers
    before = "import sys; from transformers import AutoConfig, AutoTokenizer; print(*sys.modules)"
    unavoidable = subprocess.run([sys.executable, "-c", before], capture_output=True, text=True, check=True).stdout
    assert set(imported_later) <= set(unavoidable.split())


def test_states_are_those_of_the_model_which_waits(tmp_path, cache):
    first = load(tmp_path)
    expected = read(first, "openvino")
    later = load(tmp_path, "copy")  # the shared one is alive
    assert later is first
    ids, sizes = make_batch(ROWS).ids, first.sizes
    embedded = first.embed(ids)
    del first, later
    later = load(tmp_path, "copy")
    assert not is_loaded(later)
    assert torch.equal(later.embed(ids), embedded)
    states = read(later, "openvino")
    torch.testing.assert_close(states, expected, atol=1e-6, rtol=1e-6)
    assert not is_loaded(later) and not later.trains
    assert later.sizes == replace(sizes, embeddings=later.sizes.embeddings)
    torch.testing.assert_close(read(later, "torch"), expected, atol=1e-5, rtol=1e-5)
    assert is_loaded(later) and torch.equal(later.embed(ids), embedded)


@pytest.mark.exhaustive
def test_weights_are_loaded_with_the_pipeline_unless_a_graph_is_there(tmp_path, cache):
    read(load(tmp_path), "openvino")
    backbone = load(tmp_path, "copy")
    build(backbone, {**EVAL, "engine": "openvino"}, length=3).load_weights()
    assert not is_loaded(backbone)
    build(backbone, {**EVAL, "engine": "openvino-int8"}, length=3).load_weights()  # has no graph
    assert is_loaded(backbone)


def test_files_that_changed_in_between_are_refused(tmp_path, cache):
    read(load(tmp_path), "openvino")
    backbone = load(tmp_path, "copy")
    assert not is_loaded(backbone)
    config = backbone.path / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "vocab_size": 7}), encoding="utf8")
    with pytest.raises(BackboneError, match="P105"):
        _ = backbone.model


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"linear_widths": 1}', '{"linear_widths": [[[1, 2]]], "x": 1}'])
def test_what_cannot_be_read_is_measured_again(tmp_path, cache, content):
    first = load(tmp_path)
    first.keep_sizes()
    (entry,) = (tmp_path / "sizes").iterdir()
    assert kept_sizes.recall_sizes(first.source, first.fingerprint) is not None
    entry.write_text(content, encoding="utf8")
    assert kept_sizes.recall_sizes(first.source, first.fingerprint) is None


def test_sizes_of_other_forms_are_not_taken(tmp_path, cache):
    backbone = load(tmp_path)
    backbone.keep_sizes()
    source = backbone.source
    for other in ({"dtype": "bfloat16"}, {"attention": "eager"}, {"quantization": "int8"}):
        assert kept_sizes.recall_sizes(replace(source, **other), backbone.fingerprint) is None
    assert kept_sizes.recall_sizes(source, backbone.fingerprint, torch.device("meta")) is None


@pytest.mark.parametrize(
    ("dtype", "n_graphs"), [("float32", [0, 1, 1]), pytest.param("bfloat16", [1, 1, 1], marks=pytest.mark.exhaustive)]
)
def test_auto_converts_once_enough_was_read(tmp_path, cache, monkeypatch, dtype, n_graphs):
    """In bfloat16 at once: torch and OpenVINO differ there, and predictions must not change on the way."""
    monkeypatch.setattr(engines, "WORTH_CONVERTING", 1)
    monkeypatch.setattr(engines, "READ_BEFORE", make_batch(ROWS).mask.numel())
    backbone = load(tmp_path, dtype=dtype)
    expected = read(backbone, "torch")
    found = []
    for _ in n_graphs:
        states = read(backbone, "auto")
        torch.testing.assert_close(states, expected, **({"atol": 1e-5, "rtol": 1e-5} if dtype == "float32" else LOOSE))
        found.append(len(kept(cache)))
    assert found == n_graphs


def test_auto_takes_a_graph_that_is_there_at_once(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(engines, "WORTH_CONVERTING", 1)
    read(load(tmp_path), "openvino")
    backbone = load(tmp_path, "copy")
    read(backbone, "auto")
    assert not is_loaded(backbone)


def test_lora_draws_the_same_and_nothing_without_memory():
    torch.manual_seed(0)
    expected = [torch.empty(2, 3, n).normal_(std=n**-0.5) for n in (4, 6)]
    torch.manual_seed(0)
    weights = LoRA(layers=(0, 1), rank=3, widths=((4, 5), (6, 2))).weights
    assert torch.equal(weights[:, :, :4], expected[0]) and torch.equal(weights[:, :, 9:15], expected[1])
    assert not weights[:, :, 4:9].any() and not weights[:, :, 15:].any()
    with torch.device("meta"):
        assert LoRA(layers=(0, 1), rank=3, widths=((4, 5), (6, 2))).weights.is_meta


def test_a_graph_is_for_one_kind_of_processor(tiny, monkeypatch):
    engine = engines.Engine("openvino")
    here = engine._key(tiny, GraphForm())
    assert engine._key(tiny, GraphForm()) == here
    monkeypatch.setattr(engines, "describe", lambda: "another")
    assert engine._key(tiny, GraphForm()) != here
