"""configs/reference_ner.cfg against the steps of the reference, from its prefix encoder to the last hidden states.

Source: `get_prompt` and `forward` in model/token_classification.py of THUDM/P-tuning-v2, and run_conll03_roberta.sh.
"""

import pytest
import torch
import transformers
from spacy.util import load_config, registry

from spacy_ptv2.adapters.batches import PieceBatch, Reading
from spacy_ptv2.adapters.joint_pass import read_batches
from spacy_ptv2.serialization.models import adapter_shims

from .conftest import ROOT
from .tiny import save_tiny_backbone

CONFIG = ROOT / "configs" / "reference_ner.cfg"
LENGTH, LAYERS, HEADS, WIDTH = 5, 3, 4, 32  # of the prompt, of tiny backbones


@pytest.fixture(scope="module", params=["bert", "roberta"])
def folder(request, tmp_path_factory):
    return save_tiny_backbone(tmp_path_factory.mktemp("backbone") / request.param, request.param, deviation=0.15)


def build_encoder(folder, **settings):
    """The encoder of the shipped config. settings: Of its model, by their names with dots."""
    changes = {"backbone.name": str(folder), "adapter.prompt.length": LENGTH, **settings}
    block = "components.transformer.model"
    config = load_config(CONFIG, {f"{block}.{name}": value for name, value in changes.items()})
    model = registry.resolve({"model": config["components"]["transformer"]["model"]})["model"]
    torch.manual_seed(0)
    model.initialize()
    (shim,) = adapter_shims(model)
    shim.encoder.prompt.values.data.normal_()  # far from the start near zero, as after training
    return shim.encoder


def batch(encoder):
    torch.manual_seed(1)
    mask = torch.tensor([[1] * 9, [1] * 6 + [0] * 3, [1] * 2 + [0] * 7, [1] * 9])
    ids = torch.randint(5, 40, mask.shape).where(mask.bool(), encoder.backbone.pad_id)
    return ids, mask


def states_here(encoder, ids, mask):
    wanted = mask.flatten().nonzero().squeeze(1)
    reading = Reading(torch.arange(len(ids)), wanted)
    return read_batches([encoder], [PieceBatch(ids, mask, torch.zeros_like(ids), [reading])])[0]


def states_there(folder, embedding, kept, ids, mask):
    """The reference, step by step.

    embedding: The weights of its prefix encoder. kept: What its dropout multiplies keys and values of each row with.
    Shape: (rows, length, 2 * layers, heads, head_width)
    """
    base = transformers.AutoModel.from_pretrained(folder).eval().requires_grad_(False)
    prefix_tokens = torch.arange(LENGTH).unsqueeze(0).expand(len(ids), -1)
    past = torch.nn.functional.embedding(prefix_tokens, embedding)
    past = past.view(len(ids), LENGTH, LAYERS * 2, HEADS, WIDTH // HEADS) * kept
    cache = transformers.DynamicCache()  # what transformers takes today for the tuple of key_values
    for layer, (keys, values) in enumerate(past.permute([2, 0, 3, 1, 4]).split(2)):
        cache.update(keys, values, layer)
    whole = torch.cat([torch.ones(len(ids), LENGTH, dtype=mask.dtype), mask], dim=1)
    return base(input_ids=ids, attention_mask=whole, past_key_values=cache).last_hidden_state[mask.bool()]


def by_position(rows):
    """Shape: (..., layers * 2 * length, width) -> (..., length, 2 * layers, width)"""
    return rows.unflatten(-2, (2 * LAYERS, LENGTH)).transpose(-3, -2)


def test_same_states_and_gradients_for_the_same_masks(folder):
    encoder = build_encoder(folder, **{f"runtime.{name}_dropout": False for name in ("backbone", "attention")}).train()
    drawn = []
    encoder.prompt.dropout.register_forward_hook(lambda module, given, out: drawn.append((out / given[0]).detach()))
    ids, mask = batch(encoder)
    got = states_here(encoder, ids, mask)
    (kept,) = drawn
    assert kept.shape == (4, 2 * LAYERS * LENGTH, WIDTH)
    assert (kept.min().item(), kept.max().item()) == pytest.approx((0, 1 / 0.9))
    embedding = by_position(encoder.prompt.values.detach()).flatten(1).clone().requires_grad_()
    expected = states_there(folder, embedding, by_position(kept).unflatten(-1, (HEADS, -1)), ids, mask)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
    weights = torch.randn_like(got)
    (got * weights).sum().backward()
    (expected * weights).sum().backward()
    gradient = by_position(encoder.prompt.values.grad).flatten(1)
    assert embedding.grad.abs().max() > 1e-2
    torch.testing.assert_close(gradient, embedding.grad, atol=1e-5 * embedding.grad.abs().max().item(), rtol=0)


def test_every_row_draws_its_own_mask(folder):
    encoder = build_encoder(folder).train()
    kept = torch.cat([prompt.unbind(0)[0].flatten(1) for prompt in encoder.draw_prompts()(64).values()], dim=1) != 0
    assert kept.shape == (64, LAYERS * LENGTH * WIDTH)
    assert kept.float().mean().item() == pytest.approx(0.9, abs=0.01)
    both = (kept[1:] & kept[:-1]).float().mean().item()  # with one mask for all this would be .9
    assert both == pytest.approx(0.9 * 0.9, abs=0.01)
    shared = build_encoder(folder, **{"adapter.prompt.dropout_per_row": False}).train().draw_prompts()
    assert shared(64)[0].shape == shared(2)[0].shape == (2, LENGTH, WIDTH)


def test_batches_draw_anew_and_prediction_draws_nothing(folder):
    encoder = build_encoder(folder).train()
    draw = encoder.draw_prompts()
    assert not torch.equal(draw(3)[0], draw(3)[0])
    assert encoder.eval().draw_prompts()(3)[0].shape == (2, LENGTH, WIDTH)


def test_settings_are_those_of_the_script():
    """run_conll03_roberta.sh, and the trainer's defaults where it says nothing."""
    config = load_config(CONFIG)
    model = config["components"]["transformer"]["model"]
    adapter, runtime = model["adapter"], model["runtime"]
    beside = {"lora_rank": 0, "scalar_mix": False, "word_shape": False}
    assert {name: adapter[name] for name in beside} == beside
    running = {"backbone_dropout": True, "attention_dropout": True, "mixed_precision": False}
    assert {name: runtime[name] for name in running} == running
    assert model["windows"]["length"] is None  # as much as the backbone has positions for
    assert (model["backbone"]["name"], model["backbone"]["dtype"]) == ("roberta-large", "float32")
    prompt = {"length": 11, "dropout": 0.1, "dropout_per_row": True, "shift_positions": True, "mlp_width": None}
    assert {name: adapter["prompt"][name] for name in prompt} == prompt
    assert adapter["prompt"]["start"]["deviation"] == 0.02
    assert config["components"]["token_classifier"]["model"]["dropout"] == config["training"]["dropout"] == 0.1
    optimizer = config["training"]["optimizer"]
    adam = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "grad_clip": 1.0, "weight_decays": {}, "use_averages": False}
    assert {name: optimizer[name] for name in adam} == adam
    assert optimizer["learn_rates"]["prompt"] == optimizer["learn_rates"]["head"] == 3e-2
    assert optimizer["schedule"]["decay"] == 0.95
    assert config["training"]["batcher"]["size"] == 16
    assert config["initialize"]["before_init"]["epochs"] == 30
