"""Trainings that are killed at random moments and resumed, or fill their disk, and what they leave.

python -m benchmarks.robustness.kills [--kills 100] [--disks 30] [--seed 0] [--kinds entities,tags,both]

Each training is `spacy ptv2 train` over a tiny backbone, in a process of its own. It is killed by SIGKILL after a
random time, again and again, each time goes on with --resume, and is then left to end; trainings are begun anew until
there were so many kills. After each kill, what is in the folder has to load. In the end model-best, model-last and the
checkpoint have to be those of a training that nobody killed, to the byte; of the checkpoint, but for its seconds. Disks
have random sizes at which no training ends: each has to be named, and to leave what was complete. (They are mounted, in
memory, which takes the rights to do so.)
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Annotated

import spacy
import torch
import typer
from wasabi import msg

from spacy_ptv2.cli import app
from spacy_ptv2.training import run  # noqa: F401  (imported once, before processes are forked)
from spacy_ptv2.training.checkpoint import CHECKPOINT, read_checkpoint
from spacy_ptv2.writing import LOCK
from tests.small_disks import small_disk
from tests.training.kinds import config_of

from .damage_subjects import make_backbone_and_corpus

KINDS = {
    "entities": ["transformer", "token_classifier"],
    "tags": ["transformer", "tagger"],
    "both": ["transformer", "token_classifier", "tagger"],
}
SCORES = {"token_classifier": "ents_f", "tagger": "tag_acc"}
MODELS = ("model-best", "model-last")


@dataclass
class Found:
    """What came of the trainings of one kind.

    kills, trainings, full_disks (int): How many. steps (list[int]): Of the checkpoints after kills.
    bad (list[str]): What did not load, or was not as it should be.
    """

    kills: int = 0
    trainings: int = 0
    full_disks: int = 0
    steps: list[int] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)


def main(
    kills: int = 100,
    disks: int = 30,
    seed: int = 0,
    kinds: Annotated[str, typer.Option(help="With commas.")] = ",".join(KINDS),
) -> None:
    """Print how many kills there were and at which steps; exit with 1 if anything was lost or differs."""
    torch.set_num_threads(1)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        backbone, corpus = make_backbone_and_corpus(Path(folder))
        for number, kind in enumerate(kinds.split(",")):
            own, chance = Path(folder) / kind, random.Random(seed + number)
            config = config_for(kind, backbone, corpus, own)
            found[kind] = kill_and_resume(config, own, kills, chance)
            fill_disks(config, own, disks, chance, found[kind])
    rows = [(kind, o.kills, o.trainings, len(set(o.steps)), o.full_disks, len(o.bad)) for kind, o in found.items()]
    msg.table(rows, header=("kind", "kills", "trainings", "different steps", "full disks", "bad"), divider=True)
    bad = [f"{kind}: {what}" for kind, own in found.items() for what in own.bad]
    if bad:
        msg.fail(f"{len(bad)} things were lost or differ", "\n".join(bad), exits=1)
    msg.good("After each kill everything loaded, and every training ended as one that nobody killed")


def config_for(kind: str, backbone: Path, corpus: Path, folder: Path) -> Path:
    """Write the config of a kind, with a learning curve in its folder."""
    folder.mkdir()
    config = config_of("listener", backbone, corpus)
    config["nlp"]["pipeline"] = KINDS[kind]
    config["components"] = {name: config["components"][name] for name in KINDS[kind]}
    names = [SCORES[name] for name in KINDS[kind] if name in SCORES]
    config["training"]["score_weights"] = dict.fromkeys(names, 1.0)
    config["paths"]["curve"] = str(folder / "curve.jsonl")
    config["training"]["eval_frequency"] = 2
    config["initialize"]["before_init"] = None
    config["training"]["max_steps"] = 30
    config["training"]["optimizer"]["schedule"]["total_steps"] = 31
    config["training"]["batcher"]["size"] = 6
    config.to_disk(folder / "config.cfg")
    return folder / "config.cfg"


def kill_and_resume(config: Path, folder: Path, kills: int, chance: random.Random) -> Found:
    """Train once without a kill, then with kills until there were enough."""
    found = Found()
    started = monotonic()
    ended = in_a_process(lambda: _train(config, folder / "whole"), folder / "whole.txt")
    if ended != 0:
        found.bad.append(f"the training that nobody killed ended with {ended}, see {folder / 'whole.txt'}")
        return found
    seconds = monotonic() - started
    expected = contents_of(folder / "whole")
    while found.kills < kills and not found.bad:
        out = folder / f"killed{found.trainings}"
        found.trainings += 1
        while found.kills < kills:
            ended = in_a_process(lambda out=out: _train(config, out), folder / "log.txt", chance.uniform(0, seconds))
            if ended != -signal.SIGKILL:
                break
            found.kills += 1
            if in_a_process(lambda out=out: check_loads(out), folder / "loading.txt"):
                found.bad.append(f"after kill {found.kills}: {(folder / 'loading.txt').read_text()[-500:]}")
            if (out / CHECKPOINT).exists():
                found.steps.append(read_checkpoint(out / CHECKPOINT).n_steps)
        if in_a_process(lambda out=out: _train(config, out), folder / "log.txt"):
            found.bad.append(f"a resumed training failed: {(folder / 'log.txt').read_text()[-500:]}")
        elif contents_of(out) != expected:
            got = contents_of(out)
            names = sorted(name for name in got.keys() | expected.keys() if got.get(name) != expected.get(name))
            found.bad.append(f"training {found.trainings} ended with other files: {', '.join(names)}")
    return found


def fill_disks(config: Path, folder: Path, n: int, chance: random.Random, found: Found) -> None:
    """Train on disks that are too small for what a training writes; `kill_and_resume` has left one that was not."""
    needed = sum(path.stat().st_size for path in (folder / "whole").rglob("*") if path.is_file()) // 1024
    for _ in range(n):
        with small_disk(folder / "disk", chance.randrange(needed // 10, needed)) as disk:
            ended = in_a_process(lambda disk=disk: _train(config, disk / "out"), folder / "log.txt")
            log = " ".join((folder / "log.txt").read_text().split())
            if ended != 1 or "P810" not in log or f"the disk at {disk}" not in log:
                found.bad.append(f"on a full disk it ended with {ended}: {log[-500:]}")
            if in_a_process(lambda disk=disk: check_loads(disk / "out"), folder / "loading.txt"):
                found.bad.append(f"on a full disk: {(folder / 'loading.txt').read_text()[-500:]}")
            found.full_disks += 1


def _train(config: Path, out: Path) -> None:
    app(["train", str(config), "--output", str(out), "--resume", "--checkpoint-minutes", "0"], standalone_mode=False)


def check_loads(out: Path) -> None:
    """Raise if anything that is in the folder of a training does not load."""
    for name in MODELS:
        if (out / name).exists():
            spacy.load(out / name)
    if (out / CHECKPOINT).exists():
        read_checkpoint(out / CHECKPOINT)


def in_a_process(do: Callable[[], None], log: Path, seconds: float | None = None) -> int:
    """Do something in a forked process, which is killed after some seconds.

    RETURNS (int): Its exit status, or minus the signal that ended it.
    """
    process = os.fork()
    if process == 0:
        status = 1
        try:
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            do()
            status = 0
        except SystemExit as ended:
            status = int(ended.code or 0)
        except BaseException as error:  # the process ends here in any case
            print(repr(error), file=sys.stderr)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    if seconds is not None:
        sleep(seconds)
        os.kill(process, signal.SIGKILL)  # one that has ended is still there until it is waited for
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def contents_of(out: Path) -> dict[str, object]:
    """Return what a training left, without what only tells of time."""
    files: dict[str, object] = {
        str(path.relative_to(out)): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.name not in (CHECKPOINT, LOCK)
    }
    checkpoint = read_checkpoint(out / CHECKPOINT)
    told = ("seconds", "checksum", "reported")
    files[CHECKPOINT] = {key: value for key, value in checkpoint.header.items() if key not in told}
    files |= {name: array.tobytes() for name, array in checkpoint.arrays.items()}
    return files


if __name__ == "__main__":
    typer.run(main)
