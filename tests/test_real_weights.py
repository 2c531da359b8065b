"""The pretrained MiniLM on real sentences: frozen to the last bit, the same batched or not, and it learns."""

import numpy as np
import pytest
import spacy
import torch
from safetensors.torch import load_file
from spacy.tokens import DocBin
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as train_nlp
from spacy.util import load_config
from transformers import AutoModel

from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.layers.encode_pieces import get_shim
from spacy_ptv2.serialization.models import trained_parameters

from .conftest import MINILM, ROOT

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture(scope="module")
def corpora(wikigold, tmp_path_factory):
    """Two parts of Wikigold: 300 sentences to train on, 200 of mixed length to predict."""
    docs = list(DocBin().from_disk(wikigold).get_docs(spacy.blank("en").vocab))
    folder = tmp_path_factory.mktemp("parts")
    for name, part in (("train", docs[:300]), ("test", docs[600:800])):
        DocBin(docs=part).to_disk(folder / f"{name}.spacy")
    return folder


@pytest.fixture(scope="module")
def config(corpora):
    """The shipped config, with two epochs."""
    config = load_config(ROOT / "configs" / "ner.cfg", interpolate=False)
    config["paths"].update(train=str(corpora / "train.spacy"), dev=str(corpora / "test.spacy"))
    config["initialize"]["before_init"].update(epochs=2, min_steps=0)
    return config


@pytest.fixture(scope="module")
def start(config):
    """The trainable tensors before training."""
    return {name: tensor.clone() for name, tensor in shim_of(init_nlp(config)).export_state().items()}


@pytest.fixture(scope="module")
def trained(config, start):
    nlp = init_nlp(config)
    train_nlp(nlp, None)
    return nlp


@pytest.fixture
def texts(corpora):
    docs = DocBin().from_disk(corpora / "test.spacy").get_docs(spacy.blank("en").vocab)
    return [doc.text for doc in docs]


def shim_of(nlp):
    return get_shim(nlp.get_pipe("transformer").model.layers[0])


def test_backbone_is_bit_identical_to_its_file_after_training(trained):
    backbone = shim_of(trained).backbone
    (file,) = backbone.path.glob("*.safetensors")
    on_disk = load_file(file)
    in_memory = {**dict(backbone.model.named_parameters()), **dict(backbone.model.named_buffers())}
    assert len(on_disk) > 100
    assert [name for name, tensor in on_disk.items() if not torch.equal(in_memory[name], tensor)] == []
    assert not any(parameter.requires_grad for parameter in backbone.model.parameters())


def test_every_trained_tensor_has_moved(start, trained):
    moved = shim_of(trained).export_state()
    assert set(moved) == set(start) == {"prompt.values", "lora.weights", "scalar_mix.weights", "word_shape.weight"}
    for layer, values in enumerate(moved["prompt.values"]):
        for kind in range(2):  # keys, values
            assert not torch.equal(values[kind], start["prompt.values"][layer, kind])
    assert not torch.equal(moved["scalar_mix.weights"], start["scalar_mix.weights"])
    assert not torch.equal(moved["word_shape.weight"], start["word_shape.weight"])


def test_trained_share_is_at_most_a_percent_and_a_half(trained):
    parts = trained_parameters([pipe.model for _, pipe in trained.pipeline])
    backbone = parts.pop("backbone")
    assert sum(parts.values()) / backbone <= 0.015


def test_batched_equals_one_by_one(trained, texts):
    assert len(texts) == 200
    lengths = {len(text.split()) for text in texts}
    assert min(lengths) < 8 and max(lengths) > 40
    many = [doc.tensor for doc in trained.pipe(texts, batch_size=200)]
    for text, batched in zip(texts, many, strict=True):
        np.testing.assert_allclose(trained(text).tensor, batched, atol=1e-5, rtol=0)


def test_learns_real_entities(trained, corpora):
    reader = spacy.training.Corpus(corpora / "test.spacy")
    scores = trained.evaluate(list(reader(trained)))
    assert scores["ents_f"] == pytest.approx(scores["seqeval_f"])
    assert scores["ents_f"] > 0.15  # 0.02 before training


def test_without_a_prompt_it_is_the_plain_model(texts):
    backbone = get_backbone(BackboneSource(MINILM))
    plain = AutoModel.from_pretrained(backbone.path, local_files_only=True).eval()
    encoding = backbone.tokenizer(texts[:20], return_tensors="pt", padding=True)
    with torch.inference_mode():
        ours, theirs = (model(**encoding).last_hidden_state for model in (backbone.model, plain))
    assert torch.equal(ours, theirs)
