"""Several processes train one pipeline: the same parameters as one alone, clear ends, one sum in a step."""

import json
import os
import socket
import sys
import traceback

import numpy as np
import pytest
import spacy
import torch
from spacy.training.initialize import init_nlp
from thinc.api import fix_random_seed

from spacy_ptv2.distributed.group import Group
from spacy_ptv2.training.loop import Loop
from spacy_ptv2.training.several_processes import ProcessTrainer
from spacy_ptv2.training.trainer import Trainer, resolve_training

from .test_loop import small_config

NO_DROPOUT = {"training.dropout": 0.0, "components.token_classifier.dropout": 0.0}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def in_processes(n, folder, do, port=None):
    """Call a function in forked processes. RETURNS: What each returned, as JSON, or how it ended."""
    port = port or free_port()
    children = [os.fork() for _ in range(1)] if n == 1 else []
    for rank in range(n):
        child = os.fork()
        if not child:
            _run(rank, n, port, folder, do)
        children.append(child)
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    results = []
    for rank, status in enumerate(ended):
        result = folder / f"{rank}.json"
        results.append(json.loads(result.read_text()) if status == 0 else status)
        result.unlink(missing_ok=True)
    return results


def _run(rank, n, port, folder, do):
    status = 1
    try:
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank), "WORLD_SIZE": str(n)}
        os.environ.update(address, GLOO_SOCKET_IFNAME="lo")
        (folder / f"{rank}.json").write_text(json.dumps(do(rank)))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def weights_after(config, steps, group=None):
    """Train some steps. RETURNS: The parameters as lists."""
    nlp = init_nlp(config)
    settings = resolve_training(nlp)
    trainer = Trainer(nlp, settings) if group is None else ProcessTrainer(nlp, settings, group, seed=0)
    fix_random_seed(0)
    for number, _ in enumerate(Loop([trainer]).steps(), start=1):
        if number == steps:
            break
    return {name: array.ravel().tolist() for name, array in trainer.optimizer.names.known().items()}


@pytest.fixture
def config(tiny_folder, tmp_path):
    """A training on batches of several sentences, two heads, without dropout."""
    docs = [spacy.blank("en")(text) for text in TEXTS]
    for number, doc in enumerate(docs):
        doc.ents = [spacy.tokens.Span(doc, 0, 1, ("PER", "ORG")[number % 2])]
        for token in doc:
            token.tag_ = ("N", "V", "D")[(token.i + number) % 3]
    spacy.tokens.DocBin(docs=docs).to_disk(tmp_path / "train.spacy")
    config = small_config("listener", tiny_folder, tmp_path / "train.spacy", tmp_path, {})
    config["initialize"]["before_init"] = None
    config["training"].update({"max_steps": 60, "eval_frequency": 20, "dropout": 0.0})
    config["training"]["optimizer"]["schedule"]["total_steps"] = 100
    config["training"]["batcher"].update({"size": 25, "buffer": 50})
    config["components"]["token_classifier"]["model"]["dropout"] = 0.0
    encoder = config["components"]["transformer"]["model"]
    encoder["adapter"]["prompt"]["dropout"] = 0.0
    encoder["runtime"]["backbone_dropout"] = False
    return config


TEXTS = [
    "Acme opens a Danish office",
    "Peter reads",
    "John works in New York and writes a long letter to Mary on Monday",
    "nobody came late",
    "Mary",
    "the garden of Peter is open to all of London in May",
    "Paris opens",
    "a letter was read twice in the office of Acme",
]


@pytest.mark.parametrize("n", [2, 4])
def test_the_parameters_are_those_of_one_process(n, config, tmp_path):
    torch.set_num_threads(1)
    expected = weights_after(config, 50)

    def do(rank):
        return weights_after(config, 50, Group(torch.device("cpu")))

    for got in in_processes(n, tmp_path, do):
        assert got.keys() == expected.keys()
        for name in expected:
            np.testing.assert_allclose(got[name], expected[name], atol=1e-4, rtol=0, err_msg=name)
