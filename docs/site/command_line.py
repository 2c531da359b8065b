"""The page of the command line, made from the commands themselves.

In: the typer app. Out: Markdown with the usage, the help and the arguments of each command.
"""

import inspect
from typing import Any

from typer.main import get_command

from spacy_ptv2.cli import app

CALL = "python -m spacy ptv2"


def render_commands() -> str:
    """Return the page."""
    group: Any = get_command(app)
    lines = ["# Command line", "", f"What `{CALL} COMMAND --help` prints. {group.help}"]
    for name, command in group.commands.items():
        context = command.context_class(command, info_name=f"{CALL} {name}")
        usage = command.get_usage(context).removeprefix("Usage: ")
        lines += ["", f"## {name}", "", "```bash", " ".join(usage.split()), "```", "", inspect.cleandoc(command.help)]
        lines += ["", "| argument or option | |", "|---|---|"]
        for parameter in command.params:
            if record := parameter.get_help_record(context):
                lines.append(f"| `{_cell(record[0])}` | {_cell(record[1])} |")
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
