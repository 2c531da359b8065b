"""Gradients through both document layers: windows, sorting into batches, pooling and back."""

import pytest
import spacy
import torch
from thinc.api import reduce_first, reduce_mean

from spacy_ptv2.architectures import build_tok2vec_ptuning_v1, build_transformer_model_v1
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.layers.encode_pieces import get_shim
from spacy_ptv2.options import PromptOptions

from ..tiny import build_options

TEXTS = ["EU", "Peter opens the Danish office in London. " * 5, "", "Mary was in Paris", "John"]
SETTINGS = {
    "prompt": PromptOptions(length=4, dropout=0.0),
    "window": 24,
    "overlap": 6,
    "batch_pieces": 40,  # several batches, sorted by length: another order than the documents'
    "word_shape": True,
    "mixed_precision": False,
    "backbone_dropout": False,
}


def token_layer(folder, pooling):
    return build_tok2vec_ptuning_v1(BackboneSource(str(folder)), pooling=pooling, **build_options(**SETTINGS))


def piece_layer(folder, pooling):
    return build_transformer_model_v1(str(folder), **build_options(**SETTINGS))


def token_outputs(batch):
    return [torch.from_numpy(rows.copy()) for rows in batch]


def piece_outputs(batch):
    (states,) = batch.model_output.to_tuple()
    return [states * torch.from_numpy(batch.wordpieces.attention_mask)[..., None]]


def token_gradient(batch, gradients):
    return [gradient.numpy() for gradient in gradients]


def piece_gradient(batch, gradients):
    batch.model_output.last_hidden_state = gradients[0] * torch.from_numpy(batch.wordpieces.attention_mask)[..., None]
    return batch


LAYERS = [
    (token_layer, token_outputs, token_gradient, reduce_first),
    (token_layer, token_outputs, token_gradient, reduce_mean),
    pytest.param(*(piece_layer, piece_outputs, piece_gradient, reduce_first), marks=pytest.mark.spacy_transformers),
]


@pytest.mark.parametrize("name", ["prompt.values", "lora.weights", "scalar_mix.weights", "word_shape.weight"])
@pytest.mark.parametrize(("build", "outputs", "gradient_of", "pooling"), LAYERS)
def test_backprop_is_the_numeric_derivative(tiny_folder, build, outputs, gradient_of, pooling, name):
    """Along the gradient's own direction the loss must change by the gradient's norm."""
    docs = [spacy.blank("en")(text) for text in TEXTS]
    model = build(tiny_folder, pooling())
    model.initialize()
    parameter = dict(get_shim(model.layers[0]).encoder.named_parameters())[name]
    batch, backprop = model.begin_update(docs)
    torch.manual_seed(0)
    weights = [torch.randn(rows.shape) for rows in outputs(batch)]
    backprop(gradient_of(batch, weights))
    norm = parameter.grad.norm().item()
    direction = parameter.grad / norm
    start = parameter.data.clone()

    def loss(step):
        parameter.data = start + step * direction
        return sum(float((a.double() * b).sum()) for a, b in zip(outputs(model.predict(docs)), weights, strict=True))

    assert (loss(1e-2) - loss(-1e-2)) / 2e-2 == pytest.approx(norm, rel=1e-2)
