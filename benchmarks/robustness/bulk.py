"""`spacy ptv2 annotate`, killed at random times and repeated: is all there, and as from one process?

python -m benchmarks.robustness.bulk [--documents 100000] [--workers 4] [--reruns 3] [--seed 0]

Short documents, over a tiny random backbone. In each run a worker is killed at a random time; in all but the last one,
the command with all its processes too, later. Exit status 1 where a shard differs from that of one process by a byte.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import spacy
import typer
from spacy.tokens import DocBin

from spacy_ptv2.corpora.conll import read_conll, to_docs
from tests.tiny import TRAIN_CONLL, WORDS, build_pipeline, save_tiny_backbone

ROOT = Path(__file__).parents[2]
OWN = ("_done/", "_locks/", "_manifest.json")  # what has times and places in it


def main(documents: int = 100_000, workers: int = 4, reruns: int = 3, shard_size: int = 1000, seed: int = 0) -> None:
    """Annotate in one process and in several that are killed, compare, and print what happened."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pipeline, source = save_pipeline(folder), write_texts(folder, documents, draw)
        start = time.perf_counter()
        run(pipeline, source, folder / "alone", shard_size, 1).wait()
        seconds = time.perf_counter() - start
        print(f"{documents} documents in one process: {seconds:.0f} s", flush=True)
        for number in range(reruns + 1):
            running = run(pipeline, source, folder / "out", shard_size, workers)
            done = folder / "out" / "_done"
            killed = disturb(running, done, draw, seconds, is_last=number == reruns)
            print(f"run {number + 1}: {', '.join(killed)}; {count(done)} shards are there", flush=True)
        expected, got = contents(folder / "alone"), contents(folder / "out")
        different = [key for key in {*expected, *got} if expected.get(key) != got.get(key)]
        left_over = [path for path in (folder / "out").rglob("*") if path.name.startswith(".")]
    print(f"files that differ from those of one process: {len(different)} of {len(expected)}")
    print(f"files that killed processes left: {len(left_over)}")
    raise SystemExit(1 if different or running.returncode else 0)


def run(pipeline: Path, source: Path, output: Path, shard_size: int, workers: int) -> subprocess.Popen[bytes]:
    """Start the command, with all its processes in a session of their own."""
    options = ["--shard-size", str(shard_size), "--workers", str(workers)]
    command = [sys.executable, "-m", "spacy", "ptv2", "annotate", *map(str, (pipeline, source, output)), *options]
    silent = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True, stdout=silent, stderr=silent)


def disturb(
    running: subprocess.Popen[bytes], done: Path, draw: random.Random, seconds: float, *, is_last: bool
) -> list[str]:
    """Kill a worker after the first shards, and, unless this is the last run, all processes some time later.

    done (Path): Where a file appears with each shard. seconds (float): How long one process takes for all of them.
    RETURNS (list[str]): What was killed.
    """
    killed = []
    before = count(done)
    while count(done) == before and running.poll() is None:
        time.sleep(0.1)
    time.sleep(draw.uniform(0, seconds / 10))
    workers = list(workers_of(running.pid))
    if workers:
        os.kill(draw.choice(workers), signal.SIGKILL)
        killed.append(f"a worker was killed when {count(done)} shards were there")
    if not is_last:
        time.sleep(draw.uniform(0, seconds / 10))
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            killed.append("all were killed later")
        time.sleep(1)  # until the last of them is dead
    running.wait()
    return killed or ["nothing was killed"]


def count(folder: Path) -> int:
    """Return how many files of a folder are in their places."""
    return sum(not path.name.startswith(".") for path in folder.glob("*"))


def workers_of(pid: int) -> Iterator[int]:
    """Yield the processes that a process has spawned to work."""
    for task in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(task.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            command = task.joinpath("cmdline").read_bytes()
        except OSError:
            continue
        if parent == pid and b"spawn_main" in command:
            yield int(task.name)


def save_pipeline(folder: Path) -> Path:
    """Save a pipeline over a tiny backbone whose head finds many entities."""
    corpus = folder / "train.spacy"
    (folder / "train.txt").write_text(TRAIN_CONLL, encoding="utf8")
    DocBin(docs=to_docs(read_conll(folder / "train.txt"), spacy.blank("en").vocab)).to_disk(corpus)
    nlp = build_pipeline(save_tiny_backbone(folder / "bert", "bert"), corpus)
    output = nlp.get_pipe("token_classifier").model.get_ref("output_layer")  # type: ignore[attr-defined]
    output.set_param("W", np.random.RandomState(0).normal(size=output.get_param("W").shape).astype("f"))
    nlp.to_disk(folder / "ner")
    return folder / "ner"


def write_texts(folder: Path, n: int, draw: random.Random) -> Path:
    """Write short documents as JSON lines, one in a thousand of which is none."""
    path = folder / "texts.jsonl"
    with path.open("w", encoding="utf8") as stream:
        for number in range(n):
            text = " ".join(draw.choices(WORDS, k=draw.randint(1, 12)))
            stream.write('{"broken\n' if number % 1000 == 999 else json.dumps({"id": number, "text": text}) + "\n")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file that says what was found."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in paths.items() if not name.startswith(OWN)}


if __name__ == "__main__":
    typer.run(main)
