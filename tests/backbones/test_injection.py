"""The injected model against plain attention written out, and against the bare model."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from spacy_ptv2.backbones.backbone import load_backbone
from spacy_ptv2.backbones.injection import injected, install_hooks
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource

from ..tiny import save_tiny_backbone

FAMILIES = ("bert", "electra", "roberta", "xlm-roberta", "camembert")
LENGTH, WIDTH, N_LAYERS = 5, 32, 3


def oracle(model, embeddings, mask, prompts):
    """Run the encoder with softmax over [prompt; pieces] written out. Shape of the result: (batch, pieces, width)"""
    hidden = model.embeddings(inputs_embeds=embeddings)
    if hasattr(model, "embeddings_project"):
        hidden = model.embeddings_project(hidden)
    for index, layer in enumerate(model.encoder.layer):
        block = layer.attention.self
        query, key, value = block.query(hidden), block.key(hidden), block.value(hidden)
        seen = mask.bool()
        if index in prompts:
            rows = prompts[index].unsqueeze(1).expand(-1, len(hidden), -1, -1)
            key, value = torch.cat([rows[0], key], dim=1), torch.cat([rows[1], value], dim=1)
            seen = torch.cat([torch.ones(len(hidden), prompts[index].shape[1], dtype=torch.bool), seen], dim=1)
        heads = []
        size = block.attention_head_size
        for start in range(0, WIDTH, size):
            part = slice(start, start + size)
            scores = query[..., part] @ key[..., part].transpose(1, 2) / size**0.5
            scores = scores.masked_fill(~seen[:, None, :], float("-inf"))
            heads.append(torch.softmax(scores, dim=-1) @ value[..., part])
        attended = layer.attention.output(torch.cat(heads, dim=-1), hidden)
        hidden = layer.output(layer.intermediate(attended), attended)
    return hidden


@pytest.fixture(scope="module", params=FAMILIES)
def family_folder(request, tmp_path_factory) -> Path:
    return save_tiny_backbone(tmp_path_factory.mktemp("family") / request.param, request.param)


def load(folder: Path, kind: str):
    backbone = load_backbone(BackboneSource(str(folder)), folder)
    if kind != backbone.model.config._attn_implementation:
        bare = AutoModel.from_pretrained(folder, attn_implementation=kind).eval().requires_grad_(False)
        install_hooks(backbone.rule.sites(bare))
        backbone.model = bare
    return backbone


def batch():
    torch.manual_seed(1)
    mask = torch.tensor([[1] * 9, [1] * 6 + [0] * 3, [1] * 2 + [0] * 7])
    return torch.randint(5, 40, (3, 9)), mask


def make_prompts(layers):
    torch.manual_seed(2)
    return {i: torch.randn(2, LENGTH, WIDTH, requires_grad=True) for i in layers}


@pytest.mark.parametrize("kind", ["eager", "sdpa"])
@pytest.mark.parametrize("layers", [(0, 1, 2), (1,)])
def test_equals_oracle(family_folder, kind, layers):
    if (family_folder.name, kind) == ("electra", "sdpa"):
        pytest.skip("transformers 4.53 has no SDPA for ELECTRA")
    model = load(family_folder, kind).model
    ids, mask = batch()
    embeddings = model.get_input_embeddings()(ids)
    prompts = make_prompts(layers)
    with injected(prompts):
        got = model(inputs_embeds=embeddings, attention_mask=mask).last_hidden_state
    expected = oracle(model, embeddings, mask, prompts)
    real = mask.bool()
    torch.testing.assert_close(got[real], expected[real], atol=1e-5, rtol=0)
    weights = torch.randn_like(got[real])
    got_gradients = torch.autograd.grad((got[real] * weights).sum(), list(prompts.values()))
    gradients = torch.autograd.grad((expected[real] * weights).sum(), list(prompts.values()))
    for one, other in zip(got_gradients, gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_without_prompt_equals_bare_model_exactly(family_folder):
    backbone = load_backbone(BackboneSource(str(family_folder)), family_folder)
    bare = AutoModel.from_pretrained(family_folder).eval()
    ids, mask = batch()
    expected = bare(input_ids=ids, attention_mask=mask).last_hidden_state
    assert torch.equal(backbone.model(input_ids=ids, attention_mask=mask).last_hidden_state, expected)
    with injected({i: torch.zeros(2, 0, WIDTH) for i in range(N_LAYERS)}):
        assert torch.equal(backbone.model(input_ids=ids, attention_mask=mask).last_hidden_state, expected)


def test_no_padding_needs_no_mask(family_folder):
    model = load(family_folder, "eager" if family_folder.name == "electra" else "sdpa").model
    ids, _ = batch()
    prompts = make_prompts((0, 1, 2))
    embeddings = model.get_input_embeddings()(ids)
    with injected(prompts):
        got = model(inputs_embeds=embeddings, attention_mask=torch.ones_like(ids)).last_hidden_state
    torch.testing.assert_close(got, oracle(model, embeddings, torch.ones_like(ids), prompts), atol=1e-5, rtol=0)


def test_prompt_is_local_to_its_thread_and_context(tiny):
    from concurrent.futures import ThreadPoolExecutor

    ids, mask = batch()

    def run(seed):
        torch.manual_seed(seed)
        prompts = {0: torch.full((2, LENGTH, WIDTH), float(seed))}
        outputs = []
        for _ in range(20):
            with torch.no_grad(), injected(prompts):
                outputs.append(tiny.model(input_ids=ids, attention_mask=mask).last_hidden_state)
        assert all(torch.equal(outputs[0], output) for output in outputs)
        return outputs[0]

    alone = [run(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(run, range(4)))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
    assert not torch.equal(alone[0], alone[1])


def test_shifted_positions_equal_past_key_values(tiny):
    """transformers 4.53 shifts positions when keys and values are passed as past_key_values, as the reference does."""
    ids, _ = batch()
    prompts = make_prompts((0, 1, 2))
    heads = {i: p.detach().view(2, LENGTH, 4, 8).transpose(1, 2) for i, p in prompts.items()}
    past = tuple((h[0].expand(3, -1, -1, -1), h[1].expand(3, -1, -1, -1)) for h in heads.values())
    mask = torch.ones(3, LENGTH + 9, dtype=torch.long)
    expected = tiny.model(input_ids=ids, attention_mask=mask, past_key_values=past).last_hidden_state
    positions = tiny.rule.shifted_positions(tiny.model.config, 9, LENGTH, ids.device)
    with injected(prompts):
        got = tiny.model(input_ids=ids, attention_mask=torch.ones_like(ids), position_ids=positions).last_hidden_state
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_shifted_positions_start_behind_the_padding_index(roberta_folder):
    backbone = get_backbone(BackboneSource(str(roberta_folder)))
    positions = backbone.rule.shifted_positions(backbone.model.config, 3, LENGTH, torch.device("cpu"))
    first = backbone.model.config.pad_token_id + 1
    assert positions.tolist() == [[first + LENGTH, first + LENGTH + 1, first + LENGTH + 2]]
