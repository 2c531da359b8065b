"""How far confidences of a trained `token_classifier` can be believed: products of tag probabilities, and marginals.

python -m benchmarks.accuracy.calibration PIPELINE CORPUS.spacy [CORPUS.spacy ...] [--dev DEV.spacy] [--bins 15]
    [--component token_classifier]

Each kind is measured at the temperature 1 and at that of the pipeline. With `--dev` it is one for each kind instead, as
`spacy_ptv2.fit_temperature.v1` fits it to every second Doc of that corpus, the other half of which is measured too.

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
from spacy.training import Example

from spacy_ptv2.pipeline.confidences import CONFIDENCES
from spacy_ptv2.pipeline.temperature import Judged, fit, judge
from spacy_ptv2.reports.calibration import Floats1d, calibration_error, ranking
from spacy_ptv2.training.fit_temperature import fitted_half, other_half

from ..lib.pipelines import corpus_name, read_corpus
from ..lib.results import record, table

HEADER = (
    "corpus",
    "entities",
    "right",
    "confidence",
    "T",
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
    dev: Path | None = None,
    bins: int = 15,
    component: str = "token_classifier",
    results: Path | None = None,
) -> None:
    """Print and record a row per corpus, kind of confidence and temperature."""
    nlp = spacy.load(pipeline)
    head: Any = nlp.get_pipe(component)
    parts = {corpus_name(corpus): examples_of(nlp, corpus) for corpus in corpora}
    temperatures = dict.fromkeys(CONFIDENCES, head.cfg["temperature"])
    if dev is not None:
        examples = examples_of(nlp, dev)
        parts = {f"half of {corpus_name(dev)}": other_half(examples), **parts}
        judged = judge(nlp, {component: head}, fitted_half(examples))[component]
        for kind in CONFIDENCES:
            head.cfg["confidence"] = kind
            temperatures[kind] = fit(judged)
    rows = []
    for name, part in parts.items():
        judged = judge(nlp, {component: head}, part)[component]
        for kind, fitted in temperatures.items():
            head.cfg["confidence"] = kind
            rows += [[name, *row_of(judged, kind, at, bins)] for at in dict.fromkeys((1.0, fitted))]
    text = table(HEADER, rows)
    print(text)
    record(f"Calibration: {pipeline.parent.name}/{pipeline.name}", text, results)


def examples_of(nlp: Language, corpus: Path) -> list[Example]:
    """Return the Docs of a corpus, to be annotated anew, with their gold annotations."""
    examples = []
    for gold in read_corpus(corpus, nlp.vocab):
        doc = Doc(nlp.vocab, words=[t.text for t in gold], spaces=[bool(t.whitespace_) for t in gold])
        examples.append(Example(doc, gold))
    return examples


def row_of(judged: Judged, kind: str, temperature: float, bins: int) -> list[str]:
    """Return a line of the table after its first column."""
    confidences, right = judged.confidences(temperature), judged.right
    counts = [str(len(right)), f"{right.sum() / max(1, len(right)):.4f}"]
    measured = measure(confidences, right, bins)
    return [*counts, kind, f"{temperature:g}", *measured, *gain(confidences, right, judged.n_gold)]


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
