"""The joint with Thinc: what trains, what is saved, what is shared."""

import copy
import json
import pickle

import numpy as np
import pytest
import torch
from thinc.api import Adam

from spacy_ptv2.adapters.batches import PieceBatch, Reading, WindowBatches
from spacy_ptv2.backbones import registry
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.bridge.adapter_shim import AdapterShim
from spacy_ptv2.errors import BackboneError, FormatError, PTuningError
from spacy_ptv2.options import PromptOptions
from spacy_ptv2.serialization.tensors import FORMAT_VERSION, HEADER_KEY

from ..tiny import build_options, save_tiny_backbone

OPTIONS = {"lora_rank": 5, "backbone_dropout": False, "mixed_precision": False}


def empty_shim(folder, prompt, **settings):
    options = build_options(prompt=prompt, **settings)
    return AdapterShim(BackboneSource(str(folder)), options["adapter"], options["runtime"])


def make_shim(folder, lora_rank=5, **prompt):
    shim = empty_shim(folder, PromptOptions(**{"length": 4, **prompt}), **{**OPTIONS, "lora_rank": lora_rank})
    torch.manual_seed(0)
    shim.initialize()
    return shim


def one_batch():
    ids = torch.arange(5, 17).view(2, 6)
    wanted = torch.arange(12)
    batch = PieceBatch(ids, torch.ones_like(ids), torch.ones_like(ids), [Reading(torch.arange(len(ids)), wanted)])
    return WindowBatches([batch], [wanted])


def train_step(shim, optimizer):
    states, backprop = shim.begin_update(one_batch())
    backprop(np.ones_like(states))
    shim.finish_update(optimizer)


def test_saved_tensors_are_exactly_these(tiny_folder):
    shim = make_shim(tiny_folder)
    width = shim.backbone.lora_width
    assert {name: tuple(t.shape) for name, t in shim.export_state().items()} == {
        "prompt.values": (3 * 2 * 4, 32),
        "lora.weights": (3, 5, width),
        "scalar_mix.weights": (4,),
        "word_shape.weight": (9, 32),
    }
    n_values = 3 * 2 * 4 * 32 + 3 * 5 * width + 4 + 9 * 32
    assert 4 * n_values < len(shim.to_bytes()) < 4 * n_values + 2000


def test_header_names_backbone_and_layout(tiny_folder):
    data = make_shim(tiny_folder, layers=(0, 2)).to_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][HEADER_KEY])
    assert header["format_version"] == FORMAT_VERSION
    assert header["backbone"]["name"] == str(tiny_folder)
    assert len(header["backbone"]["fingerprint"]) == 64
    assert header["adapter"] == {"layers": [0, 2], "lengths": [4, 4], "word_shape_layer": None, "lora_rank": 5}


@pytest.mark.parametrize(("layers", "place"), [((1, 2), 1), ((0, 2), None)])
def test_the_place_of_the_word_shape_is_kept(tiny_folder, layers, place):
    shim = make_shim(tiny_folder, layers=layers)
    shim.encoder.place_word_shape(place, 9)
    torch.nn.init.normal_(shim.encoder.word_shape.weight)
    loaded = make_shim(tiny_folder, layers=(0,)).from_bytes(shim.to_bytes())
    assert loaded.encoder.word_shape_layer == place
    np.testing.assert_allclose(loaded.predict(one_batch()), shim.predict(one_batch()), atol=1e-6)


@pytest.mark.parametrize("mlp_width", [None, 8])
def test_round_trip(tiny_folder, mlp_width):
    shim = make_shim(tiny_folder, mlp_width=mlp_width)
    train_step(shim, Adam(0.1, use_averages=False))
    loaded = AdapterShim(shim.source, shim.adapter, shim.runtime).from_bytes(shim.to_bytes())
    np.testing.assert_allclose(loaded.predict(one_batch()), shim.predict(one_batch()), atol=1e-6)
    assert loaded.backbone is shim.backbone
    assert loaded.to_bytes() == shim.to_bytes()


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_the_rank_of_the_adapter_is_that_of_the_file(tiny_folder, rank):
    shim = make_shim(tiny_folder, lora_rank=rank)
    loaded = make_shim(tiny_folder).from_bytes(shim.to_bytes())
    assert (0 if loaded.encoder.lora is None else loaded.encoder.lora.rank) == rank
    assert loaded.to_bytes() == shim.to_bytes()


def test_a_negative_rank_is_refused(tiny_folder):
    with pytest.raises(PTuningError, match="P407.*lora_rank to be at least 0, got -1"):
        make_shim(tiny_folder, lora_rank=-1)


def test_a_length_per_layer_round_trips(tiny_folder):
    shim = make_shim(tiny_folder, layers=(0, 2), length=(1, 3))
    assert shim.export_state()["prompt.values"].shape == (2 * (1 + 3), 32)
    loaded = AdapterShim(shim.source, shim.adapter, shim.runtime).from_bytes(shim.to_bytes())
    assert loaded.encoder.prompt.lengths == (1, 3)
    assert loaded.to_bytes() == shim.to_bytes()


def test_empty_shim_saves_nothing_and_refuses_to_run(tiny_folder):
    shim = empty_shim(tiny_folder, PromptOptions(), **OPTIONS)
    assert shim.to_bytes() == b""
    assert not shim.from_bytes(b"").is_initialized
    with pytest.raises(PTuningError, match="P205"):
        shim.predict(one_batch())


def test_another_backbone_is_refused(tiny_folder, tmp_path, monkeypatch):
    data = make_shim(tiny_folder).to_bytes()
    monkeypatch.setattr(registry, "_shared", {})  # the right one would be taken if it were in memory
    other = save_tiny_backbone(tmp_path / "other", "bert", seed=1)
    with pytest.raises(BackboneError, match="P105.*another backbone"):
        empty_shim(other, PromptOptions(length=4), **OPTIONS).from_bytes(data)


def test_tensors_that_do_not_fit_are_refused(tiny_folder):
    data = make_shim(tiny_folder).to_bytes()
    plain = {"scalar_mix": False, "word_shape": False}
    with pytest.raises(FormatError, match="P305.*scalar_mix"):
        empty_shim(tiny_folder, PromptOptions(length=4), **plain).from_bytes(data)


def test_copies_share_the_backbone_only(tiny_folder):
    shim = make_shim(tiny_folder)
    for copied in (copy.deepcopy(shim), pickle.loads(pickle.dumps(shim))):
        assert copied.backbone is shim.backbone
        np.testing.assert_array_equal(copied.predict(one_batch()), shim.predict(one_batch()))
        before = shim.to_bytes()
        train_step(copied, Adam(0.1, use_averages=False))
        assert shim.to_bytes() == before
    assert copy.deepcopy(shim).id != shim.id  # the optimizer keeps their moments apart


def test_averages_reach_the_torch_tensors(tiny_folder):
    shim = make_shim(tiny_folder)
    optimizer = Adam(0.1, use_averages=True)
    for _ in range(3):
        train_step(shim, optimizer)
    trained = shim.to_bytes()
    averages = {key: array.copy() for key, array in optimizer.averages.items()}
    with shim.use_params(averages):
        for name, parameter in shim.encoder.named_parameters():
            np.testing.assert_array_equal(parameter.detach().numpy(), averages[shim.id, name])
        assert shim.to_bytes() != trained
    assert shim.to_bytes() == trained


def test_training_leaves_the_backbone_bit_identical(tiny_folder):
    shim = make_shim(tiny_folder)
    before = {name: tensor.clone() for name, tensor in shim.backbone.model.state_dict().items()}
    start = {name: tensor.detach().clone() for name, tensor in shim.encoder.named_parameters()}
    seen = []

    class Recorder(Adam(0.1, use_averages=False).__class__):
        def __call__(self, key, *args, **kwargs):
            seen.append(key[1])
            return super().__call__(key, *args, **kwargs)

    train_step(shim, Recorder(0.1, use_averages=False))
    assert sorted(seen) == sorted(start)  # the optimizer sees the named tensors and no other
    assert all(not torch.equal(start[name], tensor) for name, tensor in shim.encoder.named_parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in shim.backbone.model.state_dict().items())
