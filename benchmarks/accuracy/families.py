"""Every model family against plain attention, for the transformers that is installed.

python -m benchmarks.accuracy.families docs/reference/families.md

For each family and kind of attention: how far the injected model is from the oracle of tests/injection/oracles.py (the
larger of the two: hidden states, and gradients of the prompt by their size; prompts in all layers and in the middle one
alone, with padding). Adds two columns to the table in the document and leaves those of other versions.
"""

import re
import tempfile
from pathlib import Path

import transformers
import typer
from wasabi import msg

from spacy_ptv2.injection.hooks import uses_attention_interface
from tests.injection.oracles import ORACLES, distance_to_oracle, load
from tests.tiny import save_tiny_backbone

KINDS = ("eager", "sdpa")
START, END = "<!-- table -->\n", "<!-- end of table -->"


def main(document: Path) -> None:
    """Measure, and write the columns of this version into the table of a document."""
    columns = measure()
    text = document.read_text(encoding="utf8")
    before, rest = text.split(START)
    table, after = rest.split(END)
    merged = {**read_columns(table), **columns}
    document.write_text(f"{before}{START}{render(merged)}{END}{after}", encoding="utf8")
    msg.good(f"{document}: transformers {transformers.__version__}, {len(ORACLES)} families")


def measure() -> dict[str, dict[str, str]]:
    """Return the cells of this version: {column: {family: cell}}."""
    columns: dict[str, dict[str, str]] = {f"{transformers.__version__} {kind}": {} for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        for family in sorted(ORACLES):
            path = save_tiny_backbone(Path(folder) / family, family, deviation=0.15)
            backbone = load(path)
            way = "interface" if uses_attention_interface(backbone.attention_blocks[0]) else "own"
            for kind in KINDS:
                distance = max(max(distance_to_oracle(path, kind, layers)) for layers in ((0, 1, 2), (1,)))
                columns[f"{transformers.__version__} {kind}"][family] = f"{distance:.0e} {way}"
                msg.text(f"{family:12} {kind:6} {distance:.1e} {way}")
    return columns


def read_columns(table: str) -> dict[str, dict[str, str]]:
    """Read a table that `render` wrote."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "|" in line]
    if not rows:
        return {}
    header, body = rows[0][1:], [row for row in rows[1:] if not re.fullmatch(r"-+", row[0])]
    return {name: {row[0].strip("`"): row[i + 1] for row in body} for i, name in enumerate(header)}


def render(columns: dict[str, dict[str, str]]) -> str:
    """Return a Markdown table, one row per family."""
    names = sorted(columns, key=lambda name: [int(part) for part in name.split()[0].split(".")] + [name])
    lines = [f"| family | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    lines += [
        f"| `{family}` | {' | '.join(columns[name].get(family, '') for name in names)} |" for family in sorted(ORACLES)
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    typer.run(main)
