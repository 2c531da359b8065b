"""Joins a template, its style and its script to one HTML file that needs nothing else.

In: the name of a template and what it shows. Out: HTML. Whatever a template shows is escaped but for its
style and script, and what displaCy drew. A policy in the page permits this style, this script and
images in the page, and nothing else: no script that a text, a label or a name contains could run.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..corpora.text import write_whole
from ..errors import Errors, PTuningError
from .excerpts import short

if TYPE_CHECKING:
    from jinja2 import Environment

    from .counts import Score

TEMPLATES = Path(__file__).with_name("templates")
STYLE, SCRIPT = "page.css", "page.js"
DASH = "–"


def check_output(path: Path) -> None:
    """RAISES (PTuningError): P785 if a page cannot have this path."""
    if path.is_dir() or path.suffix not in (".html", ".htm"):
        raise PTuningError(Errors.P785.format(path=path))


def write_page(path: Path, template: str, **shown: Any) -> None:
    """Write a page, completely or not at all.

    RAISES (CorpusError): P024.
    """
    write_whole(render(template, **shown).encode("utf8", errors="replace"), path)


def render(template: str, **shown: Any) -> str:
    """Return a page. template (str): A file of `templates/`. shown: What it shows, by the names that it uses."""
    style, script = ((TEMPLATES / name).read_text(encoding="utf8") for name in (STYLE, SCRIPT))
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; style-src-attr 'unsafe-inline'; "  # displaCy's
        f"script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    versions = {name: version(name) for name in ("spacy-ptv2", "spacy")}
    return (
        _environment()
        .get_template(template)
        .render(style=style, script=script, policy=policy, versions=versions, **shown)
    )


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode('utf8')).digest()).decode('ascii')}'"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "score": score,
        "interval": interval,
        "short": short,
        "number": lambda value: f"{value:,}",
        "size": size,
        "duration": duration,
        "drawn": Markup,
        "visible": visible,
    }
    return environment


def percent(value: float | None) -> str:
    """Return a share in percent, without the sign."""
    return DASH if value is None else f"{100 * value:.1f}"


def score(value: Score) -> str:
    """Return a score in percent."""
    return percent(value.value)


def interval(value: Score) -> str:
    """Return the interval of a score in percent."""
    return DASH if value.interval is None else f"{percent(value.interval[0])}{DASH}{percent(value.interval[1])}"


def size(n_bytes: float) -> str:
    """Return a size in a unit that suits it."""
    units = ("bytes", "kB", "MB", "GB")
    power = min(len(units) - 1, (len(f"{n_bytes:.0f}") - 1) // 3)
    return f"{n_bytes / 1000**power:.{min(power, 1)}f} {units[power]}"


def duration(seconds: float) -> str:
    """Return a time in hours, minutes or seconds."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def visible(text: str) -> str:
    """Return a text whose line breaks and tabs are seen."""
    return text.replace("\r", "␍").replace("\n", "␤").replace("\t", "␉").replace("\u00a0", "⍽")
