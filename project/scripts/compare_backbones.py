"""Print what was trained over each backbone and how well, side by side.

python project/scripts/compare_backbones.py TRAINING METRICS OUTPUT

TRAINING: A folder with a folder per backbone (curve.jsonl, model-best). METRICS: A folder with backbones-NAME.json, the
test scores that `spacy evaluate` wrote. OUTPUT: The JSON file to write.
"""

import json
from pathlib import Path

import spacy
import typer
from wasabi import msg

from spacy_ptv2.serialization.models import trained_parameters


def main(training: Path, metrics: Path, output: Path) -> None:
    """Gather and print one row per backbone."""
    rows = [describe(run, metrics / f"backbones-{run.name}.json") for run in sorted(training.iterdir()) if run.is_dir()]
    rows.sort(key=lambda row: row["backbone_parameters"])
    output.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf8")
    header = list(rows[0])
    msg.table([[row[name] for name in header] for row in rows], header=header, divider=True)


def describe(run: Path, scores: Path) -> dict[str, str | int | float]:
    """Return sizes and scores of one training run."""
    nlp = spacy.load(run / "model-best")
    parts = trained_parameters([pipe.model for _, pipe in nlp.pipeline])
    frozen = parts.pop("backbone")
    curve = [json.loads(line) for line in (run / "curve.jsonl").read_text(encoding="utf8").splitlines()]
    test = json.loads(scores.read_text(encoding="utf8"))
    return {
        "backbone": run.name,
        "backbone_parameters": frozen,
        "trained": sum(parts.values()),
        "percent": round(100 * sum(parts.values()) / frozen, 2),
        "dev_f1": round(max(point["scores"]["ents_f"] for point in curve), 4),
        "test_f1": round(test["ents_f"], 4),
    }


if __name__ == "__main__":
    typer.run(main)
