"""``spacy ptv2 migrate``: turns a training config of spacy-transformers into one that trains an adapter."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from wasabi import msg

from ..errors import PTuningError
from .messages import fail, next_command, refuse_to_overwrite, say_where_backbone_is, saying

if TYPE_CHECKING:
    from ..migration.migrate import Migration
    from ..migration.report import Change

ENDING = "-ptv2.cfg"
HEADER = ("setting", "before", "after", "why")
SHARES = (0.32, 0.21, 0.22, 0.25)  # of the table's width
LEAST_WIDTH, MOST_WIDTH = 100, 160  # of the table, in characters


def migrate_cli(
    config_path: Annotated[Path, typer.Argument(metavar="CONFIG", help="A config of spacy-transformers.")],
    output: Annotated[
        Path | None,
        typer.Argument(help=f"The file to write, or - for stdout. Default: CONFIG{ENDING}.", allow_dash=True),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-F", help="Overwrite an existing file.")] = False,
) -> None:
    """Turn a config of spacy-transformers into one that trains an adapter, and list what changed and why.

    Heads, corpora, logger and score weights stay. spacy-transformers need not be installed.
    """
    from ..migration.files import read_config, to_text
    from ..migration.migrate import migrate_config

    path = output or config_path.with_name(config_path.stem + ENDING)
    is_stdout = str(path) == "-"
    with redirect_stdout(sys.stderr) if is_stdout else nullcontext():
        try:
            config, n_comments = read_config(config_path)
            with saying("PW40", "PW41", "PW42"):
                migration = migrate_config(config)
            if not is_stdout:
                refuse_to_overwrite(path, force)
        except PTuningError as error:
            fail(f"Cannot migrate {config_path}", str(error))
        _print_changes(migration.changes)
        if n_comments:
            msg.info(f"spaCy does not keep the comments of a config. Lines left out: {n_comments}")
        for name in migration.backbones:
            say_where_backbone_is(name)
    if is_stdout:
        print(to_text(migration.config), end="")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_text(migration.config), encoding="utf8")
    _say_what_is_next(path, migration)


def _print_changes(changes: Sequence[Change]) -> None:
    """Print a table of all changes; settings that changed alike are in one row."""
    settings: dict[tuple[str, str, str], list[str]] = {}
    for change in changes:
        settings.setdefault((change.before, change.after, change.why), []).append(change.setting)
    total = min(max(shutil.get_terminal_size().columns, LEAST_WIDTH), MOST_WIDTH)
    widths = [int(total * share) - 3 for share in SHARES]
    rows = [
        (
            *(_wrap_names(cell, width) for cell, width in zip((names, [before], [after]), widths, strict=False)),
            textwrap.wrap(why, widths[-1]),
        )
        for (before, after, why), names in settings.items()
    ]
    msg.table(rows, header=HEADER, divider=True, widths=widths, multiline=True)


def _wrap_names(texts: Sequence[str], width: int) -> list[str]:
    """Return the lines of names and values, broken after dots where they are too long."""
    lines = []
    for text in texts:
        parts = [text] if len(text) <= width else textwrap.wrap(text.replace(".", ". "), width)
        lines += [line.replace(". ", ".") for line in parts]
    return lines


def _say_what_is_next(path: Path, migration: Migration) -> None:
    paths: Mapping[str, Any] = migration.config.get("paths", {})
    msg.good(f"{path} is ready:")
    print(next_command(path, [name for name in ("train", "dev") if name in paths and paths[name] is None]))
