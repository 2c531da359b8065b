"""Gather what a workflow measured in one file and show what the pipeline finds.

python project/scripts/summarize.py TRAINING_FOLDER TEST_SCORES SMOKE_REPORT OUTPUT WHEEL
"""

import json
import sys
from pathlib import Path

import spacy
import srsly
import typer
from wasabi import msg

from spacy_ptv2.serialization.models import trained_parameters

EXAMPLES = (
    "Ada Lovelace worked with Charles Babbage in London .",
    "The Brazilian striker joined FC Barcelona from Santos in 2013 .",
)


def main(training: Path, scores: Path, smoke: Path, output: Path, wheel: Path) -> None:
    """Write OUTPUT: test scores, the curve, trained parameters by part, and the smoke test's report."""
    curve = [json.loads(line) for line in (training / "curve.jsonl").read_text(encoding="utf8").splitlines()]
    nlp = spacy.load(training / "model-best")
    parts = trained_parameters([pipe.model for _, pipe in nlp.pipeline])
    backbone = parts.pop("backbone")
    test = {key: value for key, value in srsly.read_json(scores).items() if key.startswith(("ents", "seqeval"))}
    summary = {
        "test": test,
        "best_dev_f": max(point["score"] for point in curve),
        "curve": [{key: point[key] for key in ("epoch", "step", "seconds", "score")} for point in curve],
        "trained_parameters": parts,
        "backbone_parameters": backbone,
        "trained_share": sum(parts.values()) / backbone,
        "smoke_test": srsly.read_json(smoke),
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    srsly.write_json(output, summary)
    report = summary["smoke_test"]
    rows = (
        ("F1 on test", f"{test['ents_f']:.4f} (seqeval {test['seqeval_f']:.4f})"),
        ("best F1 on dev", f"{summary['best_dev_f']:.4f}"),
        ("training", f"{curve[-1]['step']} steps, {curve[-1]['seconds']} seconds"),
        ("trained", f"{sum(parts.values()):,} numbers, {summary['trained_share']:.2%} of the backbone's: {parts}"),
        ("wheel", f"{wheel}, {report['wheel_bytes'] / 1e6:.1f} MB; the backbone stays as it is"),
        ("same predictions from it", f"{report['docs'] - report['different_docs']} of {report['docs']} Docs"),
    )
    msg.table(rows, divider=True)
    for doc in nlp.pipe(EXAMPLES):
        found = ", ".join(f"{ent.text} [{ent.label_}]" for ent in doc.ents)
        print(f"{doc.text}\n    {found or 'no entity'}")
    msg.info(f"Next: {Path(sys.executable).parent / 'pip'} install {wheel}")
    msg.info(f'and in Python: nlp = spacy.load("{wheel.name.partition("-")[0]}")')


if __name__ == "__main__":
    typer.run(main)
