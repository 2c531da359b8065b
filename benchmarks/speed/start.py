"""A pipeline's start: `spacy.load` and the first Doc in a fresh process, beside spacy-transformers.

python -m benchmarks.speed.start [--backbone NAME_OR_FOLDER] [--repeats 5] [--other PYTHON]

Whole processes, from the start of Python to its end, in turns. Ours is the pipeline of configs/ner.cfg, in this
environment; the other one that of configs/finetune_ner.cfg over the same backbone, in the environment of `--other`,
where spacy-transformers is. Cold: the files of environment, backbone and pipeline are not in the page cache, as far as
no other process maps them, and our own cache folder is empty. Warm: both are as earlier processes left them, one of
which annotated with OpenVINO. The profile is of one warm process of each.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import typer

from ..lib.annotators import folder_of, ours
from ..lib.pipelines import MINILM, seconds, spread
from ..lib.results import record, table

TEXT = "Angela Merkel visited the offices of Siemens in Munich last week."
OTHER = Path(__file__).parents[2] / ".venv-spacy-transformers" / "bin" / "python"
SAVE = "import sys; from benchmarks.lib.annotators import spacy_transformers as s; s(sys.argv[1]).to_disk(sys.argv[2])"
START = f"""
import json, sys, time
began = time.process_time()
import spacy
imported = time.process_time()
nlp = spacy.load(sys.argv[1], config=json.loads(sys.argv[2]))
loaded = time.process_time()
nlp({TEXT!r})
print(json.dumps([imported - began, loaded - imported, time.process_time() - loaded]))
"""
HELP = "from spacy.cli import setup_cli; setup_cli()"
PHASES = ("import spacy", "spacy.load", "first Doc")
ENGINE = "components.transformer.model.runtime.engine"
IMPORTED = re.compile(r"import time: +(\d+) \| +\d+ \| +(\w+)")  # its own microseconds, and the package
MOST_PACKAGES = 8
Times = tuple[float, float]


@dataclass(frozen=True)
class Starter:
    """A pipeline that fresh processes load.

    python (Path): Of its environment. pipeline (Path): Its folder. files (Sequence[Path]): Of what else it reads.
    settings (Mapping[str, str]): Overrides of its config. caches (Path): The folder of its user's caches.
    """

    python: Path
    pipeline: Path
    files: Sequence[Path]
    caches: Path
    settings: Mapping[str, str]

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Load it and annotate one Doc. options: Of Python. RETURNS: What was printed."""
        arguments = [str(self.python), *options, "-c", START, str(self.pipeline), json.dumps(self.settings)]
        environment = {**os.environ, "XDG_CACHE_HOME": str(self.caches)}
        return subprocess.run(arguments, check=True, capture_output=True, text=True, env=environment)

    def cold(self) -> Times:
        """Return the times of a process that finds nothing in the page cache or in a cache of ours."""
        for root in (self.pipeline, *self.files):
            drop_from_memory(root)
        with tempfile.TemporaryDirectory() as empty:
            return timed(replace(self, caches=Path(empty)).run)

    def warm(self) -> Times:
        """Return the times of a process after others like it."""
        return timed(self.run)


def main(
    backbone: str = MINILM,
    repeats: int = 5,
    other: Path = OTHER,
    results: Path | None = None,
) -> None:
    """Print and record the ratios, a profile, and the time of the command line."""
    with tempfile.TemporaryDirectory() as folder:
        auto, theirs = make_starters(backbone, other, Path(folder))
        in_torch = replace(auto, settings={ENGINE: "torch"})
        with_graph = replace(auto, settings={ENGINE: "openvino"})
        for starter in (with_graph, auto, in_torch, theirs):  # fills the caches
            starter.run()
        ways: dict[str, tuple[Callable[[], Times], Callable[[], Times]]] = {
            "cold": (auto.cold, theirs.cold),
            "warm": (auto.warm, theirs.warm),
            "warm, in torch": (in_torch.warm, theirs.warm),
        }
        turns = [{way: [run() for run in pair] for way, pair in ways.items()} for _ in range(repeats)]
        rows = [row(way, kind, [turn[way] for turn in turns]) for way in ways for kind in (0, 1)]
        text = table(("start", "measured", "spacy-transformers, s", "ours, s", "ours / theirs"), rows)
        text += f"\n\n{profile({'ours': auto, 'ours, in torch': in_torch, 'spacy-transformers': theirs})}"
        text += f"\n\n{command_line(repeats)}\n\nbars: cold at most 1.0, warm at most 0.7"
    print(text)
    record(f"Start: {Path(backbone).name}", text, results)


def make_starters(backbone: str, other: Path, folder: Path) -> tuple[Starter, Starter]:
    """Save both pipelines, untrained. RETURNS: Ours as shipped, and that of spacy-transformers."""
    model = folder_of(backbone)
    ours(backbone, dtype="auto").to_disk(folder / "ours")
    command = [str(other), "-c", SAVE, str(model), str(folder / "theirs")]
    subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[2])
    mine = Path(sys.executable)
    starters = [
        Starter(python, folder / name, [environment_of(python), model], folder / "caches", {})
        for python, name in ((mine, "ours"), (other, "theirs"))
    ]
    return starters[0], starters[1]


def environment_of(python: Path) -> Path:
    """Return the folder of an interpreter's packages."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(subprocess.run([str(python), "-c", code], check=True, capture_output=True, text=True).stdout.strip())


def drop_from_memory(root: Path) -> None:
    """Take the files below a folder out of the page cache, all that no process maps."""
    for file in files_below(root):
        handle = os.open(file, os.O_RDONLY)
        try:
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)


def files_below(root: Path) -> Iterator[Path]:
    """Yield the files below a folder."""
    return (file for file in root.rglob("*") if file.is_file())


def timed(run: Callable[[], object]) -> Times:
    """Return the seconds that a process takes, by the clock and of the processor."""
    before = os.times()
    elapsed = seconds(run)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return elapsed, spent


def row(way: str, kind: int, turns: Sequence[Sequence[Times]]) -> list[str]:
    """Return a row of the table, its ratio taken turn by turn. kind (int): 0 by the clock, 1 of the processor."""
    mine, theirs = ([turn[side][kind] for turn in turns] for side in (0, 1))
    ratio = spread([a / b for a, b in zip(mine, theirs, strict=True)])
    return [way, ("clock", "processor")[kind], f"{median(theirs):.2f}", f"{median(mine):.2f}", ratio]


def profile(starters: Mapping[str, Starter]) -> str:
    """Return the processor time of each phase of a start, and what the imports of each package take by themselves."""
    phases, packages = {}, {}
    for name, starter in starters.items():
        phases[name] = json.loads(starter.run().stdout.splitlines()[-1])
        imports = starter.run("-X", "importtime").stderr
        packages[name] = Counter[str]()
        for spent, package in IMPORTED.findall(imports):
            packages[name][package] += int(spent)
    total = sum(packages.values(), Counter[str]())
    rows = [[phase, *(f"{own[number]:.2f}" for own in phases.values())] for number, phase in enumerate(PHASES)]
    rows += [
        [f"importing {package}", *(f"{own[package] / 1e6:.2f}" for own in packages.values())]
        for package, _ in total.most_common(MOST_PACKAGES)
    ]
    return table(("seconds, warm", *starters), rows)


def command_line(repeats: int) -> str:
    """Return a table of `spacy ptv2 --help` against `spacy --help`."""
    commands = {name: partial(show_help, *arguments) for name, arguments in (("ours", ["ptv2"]), ("spacy", []))}
    turns = [[timed(commands[name]) for name in ("ours", "spacy")] for _ in range(repeats)]
    rows = [row("spacy ptv2 --help", kind, turns) for kind in (0, 1)]
    return table(("command", "measured", "spacy --help, s", "ours, s", "ours / spacy"), rows)


def show_help(*arguments: str) -> None:
    """Show the help of a command of spaCy in a fresh process."""
    command = [sys.executable, "-c", f"import sys; sys.argv[0] = 'spacy'; {HELP}", *arguments, "--help"]
    subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    typer.run(main)
