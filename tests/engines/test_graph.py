"""The frozen backbone as one graph, in torch: which rows an engine is compared on, and LoRA inside its weights."""

from dataclasses import replace

import pytest
import torch

from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.engines.graph import AdapterGraph
from spacy_ptv2.engines.graph_inputs import GraphForm, GraphInputs
from spacy_ptv2.injection.folded import FoldedLoRA

from ..tiny import save_tiny_backbone


def draw_inputs(backbone, lengths, *, n_columns=6):
    """Rows of these lengths with a prompt in two layers, and something added to the states of one."""
    torch.manual_seed(2)
    mask = (torch.arange(n_columns) < torch.tensor(lengths)[:, None]).long()
    embeddings = torch.randn(*mask.shape, backbone.embedding_width)
    prompts = {layer: torch.randn(2, 3 + layer, backbone.key_width) for layer in (0, 2)}
    loras = {1: 0.1 * torch.randn(4, backbone.lora_width)}
    return GraphInputs(embeddings, mask, prompts, {1: torch.randn(*mask.shape, backbone.hidden_width)}, loras)


@pytest.mark.parametrize("lengths", [[6, 2, 3, 5], [2, 6], [4]])
def test_a_sample_is_the_first_piece_of_the_first_row_and_the_last_row(tiny, lengths):
    inputs = draw_inputs(tiny, lengths)
    graph = AdapterGraph(tiny, GraphForm(added=(1,), loras=True))
    sample = inputs.sample()
    assert inputs.mask.sum(1).tolist() == lengths  # as it was
    assert sample.mask.sum(1).tolist() == [1, lengths[-1]]
    first = GraphInputs(
        inputs.embeddings[:1, :1], inputs.mask[:1, :1], inputs.prompts, {1: inputs.added[1][:1, :1]}, inputs.loras
    )  # by itself, without padding
    with torch.no_grad():
        (whole,), (alone,), (own,) = (graph(*each.flat(tiny)) for each in (inputs, first, sample))
    torch.testing.assert_close(own[0, :1], alone[0], atol=1e-5, rtol=0)
    real = inputs.mask[-1].bool()
    torch.testing.assert_close(own[1][real], whole[-1][real], atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["bert", "gpt2", "albert", "deberta-v2"])
def test_lora_is_folded_into_weights_of_the_graphs_own(family, tmp_path):
    backbone = get_backbone(BackboneSource(str(save_tiny_backbone(tmp_path / family, family, deviation=0.15))))
    inputs = draw_inputs(backbone, [6, 2])
    graph = AdapterGraph(backbone, GraphForm(added=(1,), loras=True))
    folded = AdapterGraph(backbone, GraphForm(added=(1,)), FoldedLoRA(inputs.loras))
    without = AdapterGraph(backbone, GraphForm(added=(1,)))
    plain = replace(inputs, loras={}).flat(backbone)
    with torch.no_grad():
        (expected,), (found,), (before,) = graph(*inputs.flat(backbone)), folded(*plain), without(*plain)
    pieces = inputs.mask.bool()
    torch.testing.assert_close(found[pieces], expected[pieces], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(expected[pieces], before[pieces], atol=1e-2)
