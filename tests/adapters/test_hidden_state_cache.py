"""States of the layers below the prompts, kept across epochs: the same results, computed once, within the budget."""

from dataclasses import replace

import pytest
import torch

from spacy_ptv2.adapters.build import build_hidden_state_cache
from spacy_ptv2.adapters.hidden_state_cache import HiddenStateCache
from spacy_ptv2.adapters.joint_pass import read_batches
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.errors import PTuningError
from spacy_ptv2.options import RuntimeOptions

from ..injection.oracles import ORACLES
from ..tiny import build_pipeline, save_tiny_backbone, train
from .test_joint_pass import TRAINING, build, make_batch

STATES = torch.arange(24.0).view(2, 3, 4)
HANDS_ON_MORE = ("t5", "mt5", "mobilebert")  # than states


@pytest.fixture(scope="module", params=sorted(ORACLES))
def family(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cached") / request.param
    return get_backbone(BackboneSource(str(save_tiny_backbone(folder, request.param, deviation=0.15))))


def build_encoder(backbone, cache, layers=(2,)):
    torch.manual_seed(5)
    encoder = build(backbone, TRAINING, length=3, layers=layers)
    encoder.hidden_state_cache = cache
    return encoder.train()


def epoch(encoder, batches):
    """States and gradients of a pass over batches, under the same dropout each time."""
    encoder.zero_grad()
    torch.manual_seed(6)
    (states,) = read_batches([encoder], batches)
    (states * torch.linspace(-1, 1, states.numel()).view(states.shape)).sum().backward()
    return [states.detach(), *(p.grad.clone() for p in encoder.parameters() if p.grad is not None)]


@pytest.mark.parametrize(("memory", "disk"), [(1 << 20, 0), (0, 1 << 20), (3000, 3000), (0, 0)])
def test_cached_epochs_equal_plain_ones(family, memory, disk):
    """All in memory, all on disk, some windows in each and some in neither, none anywhere."""
    whole = make_batch([[0, 1, 2, 3]])
    shuffled = make_batch([[1, 3]])  # other company, and not all of it
    plain, cached = (
        build_encoder(family, cache) for cache in (None, HiddenStateCache(memory_bytes=memory, disk_bytes=disk))
    )
    for batches in ([whole], [whole], [shuffled, whole]):
        for expected, got in zip(epoch(plain, batches), epoch(cached, batches), strict=True):
            torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
    cache = cached.hidden_state_cache
    assert cache.used_memory <= memory and cache.used_disk <= disk
    if memory + disk > 6000 and family.model.config.model_type not in HANDS_ON_MORE:
        assert len(cache) == 4


def test_what_is_kept_is_not_computed_again(family):
    encoder = build_encoder(family, HiddenStateCache(memory_bytes=1 << 20))
    calls = []
    layers = [*family.rule.layers(family.model)[:2], *family.rule.layers(family.in_training(attention_dropout=False))]
    hooks = [family.rule.attention(layer).register_forward_hook(lambda *_: calls.append(1)) for layer in layers]
    counts = []
    for _ in range(2):
        calls.clear()
        epoch(encoder, [make_batch([[0, 1, 2, 3]])])
        counts.append(len(calls))
    for hook in hooks:
        hook.remove()
    assert counts == ([3, 3] if len(encoder.hidden_state_cache) == 0 else [3, 1])


def test_several_encoders_and_changed_layers_share_a_cache(family):
    """The lowest of their layers counts, and states of other settings are not taken for these."""
    cache = HiddenStateCache(memory_bytes=1 << 20)
    for layers in ((2,), (1, 2), (2,)):
        plain, cached = ([build_encoder(family, c, layers), build_encoder(family, c)] for c in (None, cache))
        batch = make_batch([[0, 1, 2, 3], [1, 2]])
        both = []
        for encoders in (plain, cached):
            torch.manual_seed(6)  # dropout
            both.append(read_batches(encoders, [batch]))
        for expected, got in zip(*both, strict=True):
            torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


def test_the_same_pieces_of_other_types_are_others(tiny):
    """As where a text comes once as the first and once as the second of a pair."""
    plain, cached = (build_encoder(tiny, cache) for cache in (None, HiddenStateCache(memory_bytes=1 << 20)))
    first = make_batch([[0, 1, 2, 3]])
    second = replace(first, types=first.mask)
    for expected, got in zip(epoch(plain, [first, second]), epoch(cached, [first, second]), strict=True):
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
    assert len(cached.hidden_state_cache) == 8


def test_prediction_leaves_it_alone(family):
    encoder = build_encoder(family, HiddenStateCache(memory_bytes=1 << 20)).eval()
    with torch.no_grad():
        read_batches([encoder], [make_batch([[0, 1]])])
    assert len(encoder.hidden_state_cache) == 0


def test_memory_first_then_disk_then_nothing():
    cache = HiddenStateCache(memory_bytes=100, disk_bytes=200)
    for key in (b"a", b"b", b"c", b"d"):
        cache.keep(key, STATES)
        cache.keep(key, STATES)
    assert (cache.used_memory, cache.used_disk, len(cache)) == (96, 192, 3)
    assert b"d" not in cache
    for key in (b"a", b"b", b"c"):
        torch.testing.assert_close(cache[key], STATES)
    half = HiddenStateCache(memory_bytes=0, disk_bytes=200)
    half.keep(b"a", STATES.bfloat16())
    torch.testing.assert_close(half[b"a"], STATES.bfloat16())


def test_options():
    assert build_hidden_state_cache(RuntimeOptions()) is None
    built = build_hidden_state_cache(RuntimeOptions(hidden_state_cache_mb=2, hidden_state_cache_disk_mb=3))
    assert (built.memory_bytes, built.disk_bytes) == (2 << 20, 3 << 20)
    with pytest.raises(PTuningError, match="P213.*-1"):
        RuntimeOptions(hidden_state_cache_mb=-1)


def test_training_fills_it_and_copies_do_not_share_it(tiny_folder, corpus):
    prompt = {"length": 4, "layers": [1, 2]}
    nlp = build_pipeline(tiny_folder, corpus, prompt=prompt, word_shape_place="prompt", hidden_state_cache_mb=1)
    train(nlp, corpus, steps=2)
    shim = nlp.get_pipe("ptuning_transformer").model.layers[0].shims[0]
    assert len(shim.encoder.hidden_state_cache) > 0
    copied = nlp.get_pipe("ptuning_transformer").model.copy().layers[0].shims[0]
    assert len(copied.encoder.hidden_state_cache) == 0
    with pytest.warns(UserWarning, match="PW06"):
        build_pipeline(tiny_folder, corpus, hidden_state_cache_mb=1)
