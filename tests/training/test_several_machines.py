"""Training over two machines, which are network namespaces of this one: torchrun's own rendezvous, another network."""

import os
import subprocess
import sys
from contextlib import ExitStack

import numpy as np
import pytest

from spacy_ptv2.training.checkpoint import CHECKPOINT, read_checkpoint

from ..conftest import ROOT
from .test_several_processes import config  # noqa: F401  (a fixture)

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive]

HOST = "10.77.0.1"
ADDRESSES = {"ptv2-a": HOST, "ptv2-b": "10.77.0.2"}


def ip(*arguments):
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs the right to make network namespaces: ip {' '.join(arguments)}: {done.stderr.strip()}")


@pytest.fixture
def machines():
    """Two network namespaces that see each other and nothing else."""
    with ExitStack() as stack:
        for name in ADDRESSES:
            ip("netns", "add", name)
            stack.callback(subprocess.run, ["ip", "netns", "delete", name], check=True)
        first, second = ADDRESSES
        ip("link", "add", "eth-ptv2", "netns", first, "type", "veth", "peer", "name", "eth-ptv2", "netns", second)
        for name, address in ADDRESSES.items():
            ip("-n", name, "address", "add", f"{address}/24", "dev", "eth-ptv2")
            for device in ("lo", "eth-ptv2"):
                ip("-n", name, "link", "set", device, "up")
        yield ADDRESSES


def start(command, name=None):
    within = ["ip", "netns", "exec", name] if name else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "eth-ptv2" if name else "lo"}
    return subprocess.Popen(
        [*within, sys.executable, "-m", *command], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )


def test_two_machines_train_what_one_does(machines, config, tmp_path):  # noqa: F811
    encoder = config["components"]["transformer"]["model"]
    encoder["backbone"]["dtype"], encoder["runtime"]["mixed_precision"] = "float32", False
    config.to_disk(tmp_path / "train.cfg")
    train = ["spacy", "ptv2", "train", str(tmp_path / "train.cfg"), "--output"]
    meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"{HOST}:29531", "--rdzv-id", "test", "--nnodes", "2"]
    running = [
        start(
            [
                *("torch.distributed.run", *meeting, "--rdzv-conf", f"is_host={int(address == HOST)}"),
                *("--nproc-per-node", "1", "--local-addr", address),
                *("-m", *train, str(tmp_path / name)),
            ],
            name,
        )
        for name, address in machines.items()
    ]
    alone = start([*train, str(tmp_path / "alone")])
    outputs = [process.communicate(timeout=300)[0] for process in (*running, alone)]
    assert [process.returncode for process in (*running, alone)] == [0, 0, 0], outputs
    written = [name for name in machines if (tmp_path / name / "model-best").is_dir()]
    assert len(written) == 1, "the first process writes"
    two, one = (read_checkpoint(tmp_path / name / CHECKPOINT) for name in (written[0], "alone"))
    assert two.is_finished and two.n_steps == one.n_steps
    for name in one.arrays:
        if name.startswith("weight"):
            np.testing.assert_allclose(two.arrays[name], one.arrays[name], atol=1e-4, err_msg=name)
