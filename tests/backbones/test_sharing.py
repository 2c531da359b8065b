"""One backbone in memory, however many pipelines come and whichever way they come."""

import copy
import gc
import multiprocessing
import pickle
import threading

import numpy as np
import pytest
import spacy
import torch

from spacy_ptv2.adapters.batches import PieceBatch, Reading, WindowBatches
from spacy_ptv2.backbones import registry
from spacy_ptv2.backbones.registry import get_backbone, on_device
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.serialization.models import adapter_shims

from ..tiny import build_pipeline, save_tiny_backbone

TEXT = "Peter works in the London office ."


def backbone_of(nlp):
    (shim,) = {shim for _, pipe in nlp.pipeline for shim in adapter_shims(pipe.model) if shim.is_initialized}
    return shim.backbone


def vectors_of(nlp):
    return nlp(TEXT).tensor


def deep_copied(nlp, tmp_path):
    return copy.deepcopy(nlp)


def through_disk(nlp, tmp_path):
    nlp.to_disk(tmp_path / "saved")
    return spacy.load(tmp_path / "saved")


def through_bytes(nlp, tmp_path):
    return spacy.util.load_model_from_config(nlp.config).from_bytes(nlp.to_bytes())


def pickled(nlp, tmp_path):
    return pickle.loads(pickle.dumps(nlp))


def sourced(nlp, tmp_path):
    fresh = spacy.blank("en", vocab=nlp.vocab)
    for name in nlp.pipe_names:
        fresh.add_pipe(name, source=nlp)
    return fresh


WAYS = [deep_copied, through_disk, through_bytes, pickled, sourced]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_every_copy_of_a_pipeline_shares_the_backbone(nlp, way, tmp_path):
    other = way(nlp, tmp_path)
    first, second = backbone_of(nlp), backbone_of(other)
    assert second is first
    assert next(second.model.parameters()).data_ptr() == next(first.model.parameters()).data_ptr()
    np.testing.assert_array_equal(vectors_of(other), vectors_of(nlp))


def test_replaced_listeners_share_the_backbone(nlp):
    before = backbone_of(nlp)
    expected = [(ent.text, ent.label_) for ent in nlp(TEXT).ents]
    nlp.replace_listeners("ptuning_transformer", "token_classifier", ["model.tok2vec"])
    shims = [shim for _, pipe in nlp.pipeline for shim in adapter_shims(pipe.model)]
    assert len(shims) == 2 and shims[0] is not shims[1]
    assert all(shim.backbone is before for shim in shims)
    assert [(ent.text, ent.label_) for ent in nlp(TEXT).ents] == expected


def test_a_trained_pipeline_does_not_touch_the_disk_if_its_backbone_is_alive(nlp, tmp_path, monkeypatch):
    nlp.to_disk(tmp_path / "saved")
    monkeypatch.setattr(registry, "locate_backbone", lambda *args: pytest.fail("looked for the backbone"))
    monkeypatch.setattr(registry, "fingerprint_folder", lambda *args: pytest.fail("hashed the backbone"))
    assert backbone_of(spacy.load(tmp_path / "saved")) is backbone_of(nlp)


def test_an_override_is_looked_at_even_then(nlp, tmp_path, monkeypatch):
    nlp.to_disk(tmp_path / "saved")
    monkeypatch.setenv("SPACY_PTV2_BACKBONE", str(save_tiny_backbone(tmp_path / "other", "bert", seed=1)))
    with pytest.raises(ValueError, match="P105"):
        spacy.load(tmp_path / "saved")


def test_loading_takes_no_random_numbers(nlp, tmp_path):
    """Nothing is started that is replaced by what was trained."""
    nlp.to_disk(tmp_path / "saved")
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    spacy.load(tmp_path / "saved")
    assert torch.equal(torch.rand(1), expected)


def test_freed_with_the_last_pipeline(tmp_path, corpus):
    first = build_pipeline(save_tiny_backbone(tmp_path / "bert", "bert", seed=7), corpus)
    fingerprint = backbone_of(first).fingerprint
    second = deep_copied(first, tmp_path)
    del first
    gc.collect()
    assert fingerprint in {key[0] for key in registry._shared}
    del second
    gc.collect()
    assert fingerprint not in {key[0] for key in registry._shared}


def test_threads_load_each_backbone_once(tmp_path):
    folders = [save_tiny_backbone(tmp_path / str(seed), "bert", seed=seed) for seed in (11, 12)]
    start, found = threading.Barrier(8), []

    def load(folder):
        start.wait()
        found.append(get_backbone(BackboneSource(str(folder))))

    threads = [threading.Thread(target=load, args=(folders[i % 2],)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({id(backbone) for backbone in found}) == 2
    assert len({backbone.fingerprint for backbone in found}) == 2


def test_another_device_gets_a_backbone_of_its_own(tiny):
    """The one that others use stays where it is."""
    elsewhere = on_device(tiny, torch.device("meta"))
    assert elsewhere is not tiny
    assert (elsewhere.device.type, tiny.device.type) == ("meta", "cpu")
    assert on_device(tiny, torch.device("meta")) is elsewhere
    assert on_device(tiny, torch.device("cpu")) is tiny


def test_moving_one_pipeline_leaves_the_other(nlp):
    copied = copy.deepcopy(nlp)
    (shim,) = adapter_shims(copied.get_pipe("ptuning_transformer").model)
    shim.encoder.backbone = on_device(shim.backbone, torch.device("meta"))
    shim.to_device("cpu", -1)
    assert shim.backbone is backbone_of(nlp)
    assert len(vectors_of(copied))


def one_window():
    ids, wanted = torch.arange(5, 11)[None], torch.arange(6)
    batch = PieceBatch(ids, torch.ones_like(ids), torch.ones_like(ids), [Reading(torch.arange(1), wanted)])
    return WindowBatches([batch], [wanted])


def vectors_in_a_worker(data, queue):
    shim = pickle.loads(data)
    queue.put((str(shim.backbone.path), shim.predict(one_window()), shim.backbone is pickle.loads(data).backbone))


@pytest.mark.slow
def test_a_spawned_worker_finds_the_backbone_where_it_was(corpus, tmp_path):
    """Even if it came from a `path`, and the name leads nowhere."""
    folder = save_tiny_backbone(tmp_path / "kept", "bert", seed=9)
    backbone = {"@misc": "spacy_ptv2.Backbone.v1", "name": "org/nowhere", "path": str(folder), "dtype": "float32"}
    nlp = build_pipeline(folder, corpus, backbone=backbone)
    (shim,) = adapter_shims(nlp.get_pipe("ptuning_transformer").model)
    shim.backbone.source = BackboneSource("org/nowhere", dtype="float32")  # the worker was started without the `path`
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    worker = context.Process(target=vectors_in_a_worker, args=(pickle.dumps(shim), queue))
    worker.start()
    path, states, is_shared = queue.get(timeout=120)
    worker.join()
    np.testing.assert_allclose(states, shim.predict(one_window()), atol=1e-6)
    assert path == str(shim.backbone.path)
    assert is_shared
