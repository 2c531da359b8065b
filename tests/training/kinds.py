"""Small pipelines for entities and tags, and their weights: what tests of training have in common."""

import copy

import numpy as np
from spacy.training import Corpus
from spacy.training.initialize import init_nlp
from thinc.api import fix_random_seed

from ..tiny import ner_model, small_ner_config

KINDS = ("listener", "inline", "shared", "heads first")
STEPS = 12


def config_of(kind, folder, corpus):
    """Return a config for entities and tags.

    Kinds: one transformer for both; a prompt each; these in one pass; listeners after a component without our layers.
    """
    config = small_ner_config(folder, corpus, {"initialize.before_init.epochs": STEPS})
    components, pipeline = config["components"], ["token_classifier", "tagger"]
    listener = {"@architectures": "spacy_ptv2.PTuningListener.v1", "upstream": "*"}
    components["tagger"] = {"factory": "tagger", "model": {"@architectures": "spacy.Tagger.v2", "tok2vec": listener}}
    if kind in ("listener", "heads first"):
        pipeline.insert(0, "transformer")
    else:
        block = components.pop("transformer")["model"]
        for name in pipeline:
            components[name]["model"]["tok2vec"] = copy.deepcopy(block)
    if kind == "shared":
        components["shared_backbone"] = {"factory": "shared_backbone"}
        pipeline.insert(0, "shared_backbone")
    if kind == "heads first":
        own = {"@architectures": "spacy.HashEmbedCNN.v2", "width": 8, "depth": 1, "embed_size": 20, "window_size": 1}
        own |= {"maxout_pieces": 2, "subword_features": True, "pretrained_vectors": None}
        components["ner"] = {"factory": "ner", "model": ner_model(own)}
        pipeline.insert(0, "ner")
    config["nlp"]["pipeline"] = pipeline
    return config


def weights_of(nlp):
    found = {}
    for name, pipe in nlp.pipeline:
        for number, node in enumerate(pipe.model.walk()):
            arrays = {param: node.get_param(param) for param in node.param_names if node.has_param(param)}
            for shim in node.shims:
                arrays.update({key: tensor.detach().numpy() for key, tensor in shim.encoder.named_parameters()})
            found.update({(name, number, key): array.copy() for key, array in arrays.items()})
    return found


def assert_same_weights(got, expected, atol=1e-6):
    assert got.keys() == expected.keys()
    for key, array in expected.items():
        np.testing.assert_allclose(got[key], array, atol=atol, rtol=0, err_msg=str(key))


def start(kind, folder, corpus):
    """An initialised pipeline, batches of its corpus, and an optimizer."""
    nlp = init_nlp(config_of(kind, folder, corpus))
    examples = list(Corpus(corpus)(nlp))
    fix_random_seed(7)
    return nlp, [examples[:1], examples[1:], examples[::2]] * (STEPS // 3)
