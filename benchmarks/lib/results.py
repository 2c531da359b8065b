"""The files in benchmarks/results/: one per benchmark, a section per table, with its command and the machine.

Which benchmark runs is what Python was started with (`python -m benchmarks.speed.annotation`): its name is that of the
file, and the first line of its docstring says there what the file is.
"""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

import torch

RESULTS = Path(__file__).parents[1] / "results"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table with its first column on the left and the others on the right."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    padded = [
        [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        for line in lines
    ]
    padded.insert(1, ["-" * width for width in widths])
    return "\n".join("   ".join(line).rstrip() for line in padded)


def record(section: str, text: str, path: Path | None = None) -> None:
    """Write a section, in the place of one that has the same heading.

    path (Path | None): A Markdown file, by default that of the benchmark in benchmarks/results/.
    """
    path = path or RESULTS / f"{_module().rpartition('.')[2]}.md"
    head, *sections = (path.read_text(encoding="utf8") if path.exists() else _preamble()).split("\n## ")
    by_heading = {part.partition("\n")[0]: part.rstrip("\n") for part in sections}
    by_heading[section] = f"{section}\n\n`{_command()}`\n\n{_machine()}\n\n```\n{text.rstrip()}\n```"
    parts = [head.rstrip("\n"), *by_heading.values()]
    path.write_text("\n\n## ".join(parts) + "\n", encoding="utf8")


def _module() -> str:
    """Return the name of the module that Python was started with, with its package."""
    spec = sys.modules["__main__"].__spec__
    return Path(sys.argv[0]).stem if spec is None else spec.name


def _preamble() -> str:
    """Return a heading, and the first line of what the benchmark says about itself."""
    heading = _module().rpartition(".")[2].replace("_", " ").capitalize()
    about = (sys.modules["__main__"].__doc__ or "").strip().partition("\n")[0]
    return f"# {heading}\n\n{about}\n"


def _command() -> str:
    """Return how this process was started, absolute paths cut to their last two parts."""
    arguments = ["/".join(Path(a).parts[-2:]) if Path(a).is_absolute() else a for a in sys.argv[1:]]
    return shlex.join(["python", "-m", _module(), *arguments])


def _machine() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "spacy"))
    threads = torch.get_num_threads()
    names = [_cpu_name(), *([torch.cuda.get_device_name()] if torch.cuda.is_initialized() else [])]
    return f"{versions}; {', '.join(names)}, {threads} thread{'' if threads == 1 else 's'}; {date.today().isoformat()}"


def _cpu_name() -> str:
    """Return the model name of the processor, as Linux tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
