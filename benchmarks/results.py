"""What the benchmarks print, and where it is kept: plain tables, and one section of RESULTS.md for each measurement."""

from __future__ import annotations

import platform
import re
import shlex
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import torch
import transformers

RESULTS = Path(__file__).parent / "RESULTS.md"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table with aligned columns, the header underlined."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def record(section: str, text: str, path: Path = RESULTS) -> None:
    """Write a text with the command of this process and the machine under a heading, in the place of what stood there.

    section (str): The heading. path (Path): A Markdown file; it is made if it is missing.
    """
    written = path.read_text(encoding="utf8") if path.exists() else "# Results\n"
    entry = f"## {section}\n\n`{command()}`\n{machine()}\n\n```\n{text}\n```\n"
    found = re.search(rf"^## {re.escape(section)}\n.*?(?=^## |\Z)", written, flags=re.DOTALL | re.MULTILINE)
    if found is None:
        written = f"{written.rstrip()}\n\n{entry}"
    else:
        rest = written[found.end() :]
        written = written[: found.start()] + entry + (f"\n{rest}" if rest else "")
    path.write_text(written, encoding="utf8")


def command() -> str:
    """Return how this process was started."""
    return shlex.join(["python", "-m", f"benchmarks.{Path(sys.argv[0]).stem}", *sys.argv[1:]])


def machine() -> str:
    """Return what the figures depend on beside the command."""
    threads = torch.get_num_threads()
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    return f"on {date.today()}: {processor()}, {threads} thread{'s' * (threads > 1)}, {versions}."


def processor() -> str:
    """Return the name of the processor."""
    information = Path("/proc/cpuinfo")
    text = information.read_text() if information.exists() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1) if found else platform.processor() or platform.machine()
