"""How far confidences of a trained `token_classifier` can be believed: products of tag probabilities, and marginals.

python -m benchmarks.accuracy.calibration PIPELINE CORPUS.spacy [CORPUS.spacy ...] [--bins 15]
    [--component token_classifier]

Of every predicted entity it is known whether it is right (boundaries and label) and how sure each kind was of it.
"ECE": expected calibration error, the mean distance of confidence and precision over bins of equally many entities.
"Brier": the mean squared distance between confidence and 1 or 0. "top third": precision of the surest third, less its
mean confidence. "AUC": how often a right entity is surer than a wrong one. "best F1": with the best of the thresholds
0, .05 and so on, chosen on the corpus itself, beside the F1 without.
Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599; Brier 1950.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import spacy
import typer
from spacy.language import Language
from spacy.tokens import Doc

from spacy_ptv2.pipeline.confidences import CONFIDENCES
from spacy_ptv2.reports.calibration import Floats1d, calibration_error, ranking

from ..lib.pipelines import corpus_name, read_corpus
from ..lib.results import record, table

HEADER = (
    "corpus",
    "entities",
    "right",
    "confidence",
    "mean",
    "ECE",
    "Brier",
    "top third",
    "AUC",
    "F1",
    "best F1",
    "at",
)
THRESHOLDS = np.linspace(0, 1, 21)


def main(
    pipeline: Path,
    corpora: Annotated[list[Path], typer.Argument()],
    bins: int = 15,
    component: str = "token_classifier",
    results: Path | None = None,
) -> None:
    """Print and record a row per corpus and kind of confidence."""
    nlp = spacy.load(pipeline)
    rows = []
    for corpus in corpora:
        gold = list(read_corpus(corpus, nlp.vocab))
        n_gold = sum(len(doc.ents) for doc in gold)
        for kind in CONFIDENCES:
            nlp.get_pipe(component).cfg["confidence"] = kind  # type: ignore[attr-defined]
            confidences, right = judge(nlp, gold, component)
            counts = [corpus_name(corpus), str(len(right)), f"{right.sum() / max(1, len(right)):.4f}"]
            rows.append([*counts, kind, *measure(confidences, right, bins), *gain(confidences, right, n_gold)])
    text = table(HEADER, rows)
    print(text)
    record(f"Calibration: {pipeline.parent.name}/{pipeline.name}", text, results)


def judge(nlp: Language, gold: list[Doc], component: str) -> tuple[Floats1d, Floats1d]:
    """Return the confidence of each predicted entity, and 1 where it is right. Shape of both: (n_entities,)"""
    key = nlp.get_pipe(component).cfg["spans_key"]  # type: ignore[attr-defined]
    spaces = [[bool(token.whitespace_) for token in doc] for doc in gold]
    texts = [Doc(nlp.vocab, words=[t.text for t in doc], spaces=own) for doc, own in zip(gold, spaces, strict=True)]
    judged: list[tuple[float, bool]] = []
    for doc, reference in zip(nlp.pipe(texts), gold, strict=True):
        entities = {(ent.start, ent.end, ent.label_) for ent in reference.ents}
        found = [(span.start, span.end, span.label_) in entities for span in doc.spans[key]]
        judged += zip(doc.spans[key].attrs["scores"], found, strict=True)
    confidences, right = np.array(judged, dtype=float).reshape(-1, 2).T
    return confidences, right


def measure(confidences: Floats1d, right: Floats1d, bins: int) -> list[str]:
    """Return mean, ECE, Brier score, the gap of the surest third, and AUC, as the table has them.

    AUC is "nan" where all are right or all are wrong, and everything is where nothing was predicted.
    """
    if not len(confidences):
        return ["nan"] * 5
    top = np.sort(confidences)[-(len(confidences) // 3) :][0]
    surest = confidences >= top
    values: list[Any] = [
        confidences.mean(),
        calibration_error(confidences, right, bins),
        np.square(confidences - right).mean(),
    ]
    gap = right[surest].mean() - confidences[surest].mean()
    return [*(f"{value:.4f}" for value in values), f"{gap:+.4f}", f"{ranking(confidences, right):.4f}"]


def gain(confidences: Floats1d, right: Floats1d, n_gold: int) -> list[str]:
    """Return F1 without a threshold, F1 with the best one, and that one. n_gold (int): How many are to be found."""
    scores = []
    for threshold in THRESHOLDS:
        kept = confidences >= threshold
        scores.append(2 * right[kept].sum() / max(1, kept.sum() + n_gold))
    best = int(np.argmax(scores))
    return [f"{scores[0]:.4f}", f"{scores[best]:.4f}", f"{THRESHOLDS[best]:.2f}"]


if __name__ == "__main__":
    typer.run(main)
