"""On a CUDA GPU: what the CPU gives, from a layer's gradients to a saved pipeline. Skipped where there is none.

It needs a CUDA build of torch and CuPy (https://spacy.io/usage#gpu).
"""

from contextlib import contextmanager

import numpy as np
import pytest
import spacy
import torch
from spacy.cli.train import train as train_cli
from spacy.schemas import ConfigSchemaTraining
from spacy.training import Corpus
from spacy.training.initialize import init_nlp
from spacy.util import fix_random_seed, registry
from thinc.api import require_cpu, require_gpu

from spacy_ptv2.adapters.joint_pass import read_batches
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.serialization.models import adapter_shims
from spacy_ptv2.serving import AdapterBank
from spacy_ptv2.training.rate_finder import RateFinder
from spacy_ptv2.training.trials import train_trials

from . import test_commands as commands
from .adapters import test_joint_pass as joint
from .injection.oracles import ORACLES
from .layers import test_transformer_model as drop_in
from .pipeline import test_shared_backbone as shared
from .pipeline.test_pipeline import TEXTS, entities
from .tiny import build_pipeline, ner_model, save_tiny_backbone, small_ner_config, train

pytestmark = pytest.mark.gpu

ENCODER = "components.transformer.model"
CPU, GPU = torch.device("cpu"), torch.device("cuda:0")
NO_DROPOUT = {
    f"{ENCODER}.runtime.backbone_dropout": False,
    f"{ENCODER}.adapter.prompt.dropout": 0.0,
    "components.token_classifier.model.dropout": 0.0,
    "training.dropout": 0.0,
}
UPPER_LAYERS = {f"{ENCODER}.adapter.prompt.layers": [1, 2], f"{ENCODER}.adapter.word_shape_place": "prompt"}
VARIANTS = {
    "as shipped": {},
    "upper layers": UPPER_LAYERS,
    "state cache": {
        **UPPER_LAYERS,
        f"{ENCODER}.runtime.hidden_state_cache_mb": 4,
        f"{ENCODER}.runtime.hidden_state_cache_disk_mb": 4,
    },
    "checkpointing": {f"{ENCODER}.runtime.gradient_checkpointing": True},
    "eager attention": {f"{ENCODER}.backbone.attention": "eager"},
    "AdamW and an MLP": {
        f"{ENCODER}.adapter.prompt.mlp_width": 8,
        "training.optimizer": {
            "@optimizers": "spacy_ptv2.AdamW.v1",
            "learn_rates": {"prompt": 0.01, "lora": 0.001, "scalar_mix": 0.01, "word_shape": 0.001, "head": 0.001},
            "schedule": {"@schedules": "spacy_ptv2.warmup_linear.v1", "total_steps": 100},
        },
    },
}


@contextmanager
def on_gpu():
    """Let everything that is built or loaded inside compute on the GPU."""
    require_gpu(0)
    try:
        yield
    finally:
        require_cpu()


def losses_of(config, steps=8):
    """Return the loss of each of some training steps, and the pipeline."""
    nlp = init_nlp(config)
    settings = registry.resolve(nlp.config.interpolate()["training"], schema=ConfigSchemaTraining)
    examples = list(Corpus(config["paths"]["train"])(nlp))
    losses = []
    for _ in range(steps):
        losses.append(nlp.update(examples, sgd=settings["optimizer"], losses={})["token_classifier"])
        settings["optimizer"].step_schedules()
    return losses, nlp


def gradients_of(nlp, examples):
    nlp.update(examples, sgd=False, losses={})
    return {
        f"{component}.{name}": parameter.grad.cpu()
        for component, pipe in nlp.pipeline
        for shim in adapter_shims(getattr(pipe, "model", None))
        for name, parameter in shim.encoder.named_parameters()
        if parameter.grad is not None
    }


def assert_close_gradients(got, expected):
    assert got.keys() == expected.keys()
    assert expected
    for name, gradient in expected.items():
        torch.testing.assert_close(got[name], gradient, atol=1e-4 * gradient.abs().max().item(), rtol=0)


def states_and_gradients(encoders):
    states = read_batches(encoders, [joint.make_batch([[0, 1, 2, 3], [1, 2], [0, 3]])])
    torch.autograd.backward(states, [torch.ones_like(own) for own in states])
    gradients = [p.grad for encoder in encoders for p in encoder.parameters() if p.grad is not None]
    return [tensor.detach().cpu() for tensor in (*states, *gradients)]


def confidences(docs):
    return [doc.spans["ents"].attrs["scores"] for doc in docs]


def assert_annotates_alike(nlp, other):
    docs, other_docs = list(nlp.pipe(TEXTS)), list(other.pipe(TEXTS))
    assert entities(docs) == entities(other_docs)
    for scores, other_scores in zip(confidences(docs), confidences(other_docs), strict=True):
        assert scores == pytest.approx(other_scores, abs=1e-4)


@pytest.mark.parametrize("family", sorted(ORACLES))
def test_every_family_gives_the_same_states_and_gradients(family, tmp_path):
    source = BackboneSource(str(save_tiny_backbone(tmp_path / family, family, deviation=0.15)))
    on_cpu, moved = (joint.make_encoders(get_backbone(source, device=device), lowest=0) for device in (CPU, GPU))
    for encoder, original in zip(moved, on_cpu, strict=True):
        encoder.load_state_dict(original.state_dict())
    expected, got = (states_and_gradients(encoders) for encoders in (on_cpu, moved))
    assert len(got) == len(expected) > 3
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4 * theirs.abs().max().item(), rtol=0)


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_training_takes_the_same_course(tiny_folder, corpus, changes):
    config = small_ner_config(tiny_folder, corpus, {**NO_DROPOUT, **changes})
    expected, _ = losses_of(config)
    with on_gpu():
        losses, nlp = losses_of(config)
    (shim,) = adapter_shims(nlp.get_pipe("transformer").model)
    assert {parameter.device for parameter in shim.encoder.parameters()} == {GPU}
    assert shim.backbone.model.device == GPU
    assert expected[-1] < expected[0]
    assert losses == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_spacy_train_leaves_a_pipeline_for_every_machine(tiny_folder, corpus, tmp_path, dtype):
    """With all dropout, averages and evaluations of the shipped config; mixed precision over float32 weights."""
    changes = {
        f"{ENCODER}.backbone.dtype": dtype,
        f"{ENCODER}.runtime.mixed_precision": dtype == "float32",
        "initialize.before_init.epochs": 60,
    }
    small_ner_config(tiny_folder, corpus, changes).to_disk(tmp_path / "config.cfg")
    try:
        train_cli(tmp_path / "config.cfg", tmp_path / "training", use_gpu=0)
        on_device = spacy.load(tmp_path / "training" / "model-best")
        found = entities(on_device.pipe(TEXTS))
        assert on_device.evaluate(list(Corpus(corpus)(on_device)))["ents_f"] == 1.0
    finally:
        require_cpu()
    if dtype == "float32":  # bfloat16 rounds, and not alike
        assert entities(spacy.load(tmp_path / "training" / "model-best").pipe(TEXTS)) == found


def test_what_the_cpu_trained_runs_and_trains_on(tiny_folder, corpus, tmp_path):
    nlp = build_pipeline(tiny_folder, corpus)
    train(nlp, corpus)
    nlp.to_disk(tmp_path / "cpu")
    with on_gpu():
        moved = spacy.load(tmp_path / "cpu")
        assert_annotates_alike(moved, nlp)
        train(moved, corpus, steps=2)
        moved.to_disk(tmp_path / "gpu")
        assert entities([spacy.tokens.Doc(moved.vocab).from_bytes(doc.to_bytes()) for doc in moved.pipe(TEXTS)])
    assert_annotates_alike(spacy.load(tmp_path / "gpu"), moved)


def test_a_model_moves_with_its_backbone(tiny_folder, corpus):
    nlp = build_pipeline(tiny_folder, corpus)
    model = nlp.get_pipe("ptuning_transformer").model
    docs = [nlp.make_doc(text) for text in TEXTS]
    expected = model.predict(docs)
    with on_gpu():
        model.to_gpu(0)
        for vectors, theirs in zip(model.predict(docs), expected, strict=True):
            np.testing.assert_allclose(vectors.get(), theirs, atol=1e-5)
    model.to_cpu()
    for vectors, theirs in zip(model.predict(docs), expected, strict=True):
        np.testing.assert_allclose(vectors, theirs, atol=1e-6)


@pytest.mark.parametrize("component", ["ner", "tagger"])
def test_spacys_components_learn_from_our_vectors(tiny_folder, corpus, component):
    listener = {"@architectures": "spacy_ptv2.PTuningListener.v1"}
    model = ner_model(listener) if component == "ner" else {"@architectures": "spacy.Tagger.v2", "tok2vec": listener}
    with on_gpu():
        nlp = build_pipeline(tiny_folder, corpus)
        nlp.remove_pipe("token_classifier")
        nlp.add_pipe(component, config={"model": model})
        fix_random_seed(0)
        nlp.initialize(lambda: Corpus(corpus)(nlp))
        train(nlp, corpus, steps=80)
        scores = nlp.evaluate(list(Corpus(corpus)(nlp)))
    assert scores["ents_f" if component == "ner" else "tag_acc"] > 0.9


def test_tagging_and_parsing(tiny_folder, corpus, tmp_path):
    try:
        scores = commands.train_trees("tagging_parsing", tiny_folder, corpus, tmp_path, gpu_id=0)
    finally:
        require_cpu()
    assert scores["tag_acc"] > 0.9 and scores["dep_las"] > 0.8


@pytest.mark.parametrize("is_shared", [False, True])
def test_several_prompts_annotate_and_train_alike(tiny_folder, is_shared):
    nlp = shared.build(tiny_folder, shared=is_shared)
    expected = shared.annotations(nlp.pipe(TEXTS))
    gradients = gradients_of(nlp, shared.examples_of(nlp))
    data = nlp.to_bytes()
    with on_gpu():
        moved = spacy.util.load_model_from_config(nlp.config).from_bytes(data)
        shared.assert_same(shared.annotations(moved.pipe(TEXTS)), expected)
        assert_close_gradients(gradients_of(moved, shared.examples_of(moved)), gradients)


def test_dropout_is_the_same_alone_and_beside_others(tiny_folder):
    """Each prompt draws for itself: what a step drops for one does not depend on which others it shares a pass with."""
    backbone = get_backbone(BackboneSource(str(tiny_folder)), device=GPU)
    encoders = [joint.build(backbone, joint.TRAINING, length=2, layers=(0, 1, 2)).train() for _ in range(2)]
    batch = joint.make_batch([[0, 1, 2, 3], [1, 2]])
    torch.manual_seed(5)
    encoders[1].reserve_seed()
    expected = joint.alone(encoders[1], batch, 1)
    assert not torch.equal(joint.alone(encoders[1], batch, 1), expected)
    torch.manual_seed(5)
    encoders[1].reserve_seed()
    torch.testing.assert_close(read_batches(encoders, [batch])[1], expected, atol=1e-5, rtol=0)


@pytest.mark.spacy_transformers
def test_the_drop_in_for_spacy_transformers(tiny_folder, corpus, tmp_path):
    with on_gpu():
        nlp = drop_in.build_pipeline(tiny_folder, corpus)
        train(nlp, corpus, steps=80)
        assert nlp.evaluate(list(Corpus(corpus)(nlp)))["ents_f"] > 0.9
        found = entities(nlp.pipe(TEXTS))
        nlp.to_disk(tmp_path / "model")
    assert entities(spacy.load(tmp_path / "model").pipe(TEXTS)) == found


def test_a_bank_serves_from_the_gpu(tiny_folder):
    nlp = shared.build(tiny_folder, shared=False)
    expected = shared.annotations(nlp.pipe(TEXTS))
    data = nlp.to_bytes()
    with on_gpu():
        bank = AdapterBank(str(tiny_folder))
        for name in ("one", "two"):
            bank.load(name, spacy.util.load_model_from_config(nlp.config).from_bytes(data))
        docs = list(bank.pipe([(text, name) for text in TEXTS for name in ("one", "two")]))
    shared.assert_same(shared.annotations(docs[::2]), expected)
    shared.assert_same(shared.annotations(docs[1::2]), expected)


def test_rates_are_found_and_variants_tried(tiny_folder, corpus, tmp_path):
    config = small_ner_config(tiny_folder, corpus, {"initialize.before_init.epochs": 3})
    with on_gpu():
        points = list(RateFinder(config, steps=20, use_gpu=0).run())
        variants = {"short": {f"{ENCODER}.adapter.prompt.length": 2}, "long": {f"{ENCODER}.adapter.prompt.length": 5}}
        trials = train_trials(config, variants, tmp_path, use_gpu=0, report=lambda *_: None)
    assert len(points) == 20
    assert {trial.name for trial in trials} == set(variants)
    for name in variants:
        assert spacy.load(tmp_path / name / "model-last")("John works in New York.")
