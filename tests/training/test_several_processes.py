"""Several processes train one pipeline: the same parameters as one alone, clear ends, one sum in a step."""

import io
import json
import os
import signal
import socket
import sys
import traceback
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
import spacy
import torch
from spacy.training.initialize import init_nlp
from thinc.api import fix_random_seed

from spacy_ptv2.distributed.group import Group
from spacy_ptv2.errors import DistributedError, PTuningError
from spacy_ptv2.training.checkpoint import CHECKPOINT, read_checkpoint
from spacy_ptv2.training.interruption import Interrupted
from spacy_ptv2.training.loop import Loop
from spacy_ptv2.training.run import Checkpointing, train
from spacy_ptv2.training.several_processes import ProcessTrainer, share_of_batch
from spacy_ptv2.training.trainer import Trainer, resolve_training

from .test_loop import ADAM, small_config


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def in_processes(n, folder, do, port=None):
    """Call a function in forked processes. RETURNS: What each returned, as JSON, or how it ended."""
    port, children = port or free_port(), []
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


def join():
    return Group(torch.device("cpu"))


def trainer_of(config, group=None):
    """A trainer of one process, or of those of a group, with the random numbers that all begin with."""
    nlp = init_nlp(config)
    settings = resolve_training(nlp)
    trainer = Trainer(nlp, settings) if group is None else ProcessTrainer(nlp, settings, group, seed=0)
    fix_random_seed(0)
    return trainer


def weights_after(config, steps, group=None):
    """Train some steps. RETURNS: The parameters as lists."""
    trainer = trainer_of(config, group)
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


@pytest.mark.parametrize("n", [2, pytest.param(4, marks=pytest.mark.exhaustive)])
def test_the_parameters_are_those_of_one_process(n, config, tmp_path):
    """After 50 steps; some steps have fewer examples than processes."""
    torch.set_num_threads(1)
    expected = weights_after(config, 50)
    for got in in_processes(n, tmp_path, lambda rank: weights_after(config, 50, join())):
        assert got.keys() == expected.keys()
        for name in expected:
            np.testing.assert_allclose(got[name], expected[name], atol=1e-5, rtol=0, err_msg=name)


def first_gradients(config, group=None):
    """Take one step. RETURNS: The gradients that the optimizer got, summed over the processes, as lists."""
    trainer = trainer_of(config, group)
    sums, seen = trainer.optimizer.reduce, {}

    def reduce(gradients, has_diverged):
        summed, is_problem = (gradients, has_diverged) if sums is None else sums(gradients, has_diverged)
        seen.update({name: array.ravel().tolist() for name, array in summed.items()})
        return summed, is_problem

    trainer.optimizer.reduce = reduce
    next(iter(Loop([trainer]).steps()))
    return seen


@pytest.mark.parametrize("n", [2, 4])
def test_the_summed_gradients_are_those_of_one_process(n, config, tmp_path):
    """To 1e-5 of the largest in each tensor."""
    torch.set_num_threads(1)
    expected = first_gradients(config)
    assert expected
    for got in in_processes(n, tmp_path, lambda rank: first_gradients(config, join())):
        assert got.keys() == expected.keys()
        for name in expected:
            largest = max(map(abs, expected[name]))
            np.testing.assert_allclose(got[name], expected[name], atol=1e-5 * largest, rtol=0, err_msg=name)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_batch_is_dealt_out_whole_and_evenly(size, config):
    batch = list(
        resolve_training(nlp := init_nlp(config))["batcher"](Trainer(nlp, resolve_training(nlp)).train_corpus(nlp))
    )
    examples = [example for part in batch for example in part]
    shares = [share_of_batch(examples, rank, size) for rank in range(size)]
    assert sorted(id(example) for share in shares for example in share) == sorted(map(id, examples))
    lengths = [sum(len(example.predicted) for example in share) for share in shares]
    assert max(lengths) - min(lengths) <= max(len(example.predicted) for example in examples)


def train_in(rank, config, folder, *, start=None, act=None, at=None):
    """Train in one of several processes; something happens in it before a step. RETURNS: How it ended."""

    def before_update(trainer, progress, own=Trainer.before_update):
        own(trainer, progress)
        if act and progress["step"] == at:
            act()

    group = join()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "before_update", before_update)
        checkpointing = Checkpointing(config, 60, start, group)
        try:
            train(init_nlp(config), folder, stdout=io.StringIO(), checkpointing=checkpointing)
        except (Interrupted, DistributedError) as error:
            return str(error)
    return "ended"


def curve(config):
    return [json.loads(line) for line in Path(config["paths"]["curve"]).read_text().splitlines()]


def test_the_first_process_logs_and_writes_what_one_process_would(config, tmp_path):
    torch.set_num_threads(1)
    train(init_nlp(config), tmp_path / "one", stdout=io.StringIO(), checkpointing=Checkpointing(config, 60))
    expected = curve(config)
    assert in_processes(2, tmp_path, lambda rank: train_in(rank, config, tmp_path / "two")) == ["ended", "ended"]
    for got, point in zip(curve(config), expected, strict=True):
        assert (got["step"], got["words"]) == (point["step"], point["words"])
        assert got["score"] == pytest.approx(point["score"], abs=1e-6)
        assert got["losses"] == pytest.approx(point["losses"], rel=1e-4)
    assert spacy.load(tmp_path / "two" / "model-best").meta["performance"]
    one, two = (read_checkpoint(tmp_path / name / CHECKPOINT) for name in ("one", "two"))
    assert two.is_finished and two.n_steps == one.n_steps
    for name in one.arrays:
        if name.startswith(("weight", "optimizer")):
            np.testing.assert_allclose(two.arrays[name], one.arrays[name], atol=1e-4, err_msg=name)


def test_dropout_differs_between_processes_and_all_else_does_not(config, tmp_path):
    config["components"]["transformer"]["model"]["runtime"]["backbone_dropout"] = True
    config["training"]["dropout"] = 0.3

    def do(rank):
        trainer, drawn = trainer_of(config, join()), []
        own = trainer.learn_from
        trainer.learn_from = lambda examples: (drawn.append(float(torch.rand(()))), own(examples))
        for number, _ in enumerate(Loop([trainer]).steps(), start=1):
            if number == 10:
                break
        weights = {name: array.ravel().tolist() for name, array in trainer.optimizer.names.known().items()}
        return [drawn, float(torch.rand(())), weights]

    (drawn, after, weights), (other_drawn, other_after, other_weights) = in_processes(2, tmp_path, do)
    assert not set(drawn) & set(other_drawn)
    assert after == other_after and weights == other_weights


def test_a_process_that_is_killed_ends_the_others_with_a_checkpoint_that_resumes(config, tmp_path):
    def do(rank):
        act = (lambda: os.kill(os.getpid(), signal.SIGKILL)) if rank else None
        return train_in(rank, config, tmp_path / "out", act=act, at=25)

    begun = monotonic()
    ended, killed = in_processes(2, tmp_path, do)
    assert killed == -signal.SIGKILL and "P861" in ended and "--resume" in ended
    assert monotonic() - begun < 30, "with the start of both"
    start = read_checkpoint(tmp_path / "out" / CHECKPOINT)
    assert start.n_steps == 25
    got = in_processes(2, tmp_path, lambda rank: train_in(rank, config, tmp_path / "out", start=start))
    assert got == ["ended", "ended"]
    whole = in_processes(2, tmp_path, lambda rank: train_in(rank, config, tmp_path / "whole"))
    assert whole == got
    resumed, whole = (read_checkpoint(tmp_path / name / CHECKPOINT).arrays for name in ("out", "whole"))
    for name in whole:
        np.testing.assert_array_equal(resumed[name], whole[name], err_msg=name)


def test_a_signal_to_one_process_ends_all_after_the_same_step(config, tmp_path):
    def do(rank):
        act = (lambda: os.kill(os.getpid(), signal.SIGTERM)) if rank else None
        return train_in(rank, config, tmp_path / "out", act=act, at=10)

    assert in_processes(2, tmp_path, do) == ["SIGTERM after 12 steps"] * 2  # known to all with the next step
    assert read_checkpoint(tmp_path / "out" / CHECKPOINT).n_steps == 12


def test_a_process_that_does_not_answer_is_an_error(tmp_path):
    def do(rank):
        group = Group(torch.device("cpu"), step=timedelta(seconds=2))
        if rank:
            sleep(6)
            return "late"
        with pytest.raises(DistributedError, match="P861"):
            group.sum(torch.zeros(1))
        return "told"

    assert in_processes(2, tmp_path, do) == ["told", "late"]


def test_processes_that_differ_are_told_in_what(tmp_path):
    def do(rank):
        group = join()
        with pytest.raises(DistributedError, match=r"P862.*dropout: 0\.1 in process 0, 0\.2 in process 1"):
            group.require_same({"dropout": 0.1 + 0.1 * rank, "torch": "2"})
        group.require_same({"torch": "2"})
        return group.gather([rank]), list(group.bytes_from_first(b"" if rank else b"\0ab"))

    assert in_processes(2, tmp_path, do) == [[[[0], [1]], [0, 97, 98]]] * 2


def test_a_port_in_use_is_told(tmp_path):
    def do(rank):
        with pytest.raises(DistributedError, match=r"P860.*127\.0\.0\.1:\d+: the port is in use.*torchrun"):
            join()
        return "told"

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert in_processes(1, tmp_path, do, port=taken.getsockname()[1]) == ["told"]


def test_other_optimizers_are_refused(config, tmp_path):
    config["training"]["optimizer"] = ADAM

    def do(rank):
        nlp = init_nlp(config)
        with pytest.raises(PTuningError, match="P863.*got Optimizer"):
            ProcessTrainer(nlp, resolve_training(nlp), join(), seed=0)
        return "told"

    assert in_processes(2, tmp_path, do) == ["told", "told"]
