"""``spacy ptv2 evaluate``: scores a pipeline, with what its tasks are asked.

`spacy evaluate` gives a pipeline the text of each gold Doc alone; questions, predicates and second texts are not part
of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import srsly
import typer
from spacy.cli._util import setup_gpu
from spacy.scorer import Scorer
from spacy.training import Example
from wasabi import msg

from ..corpora.predictions import write_predictions
from ..errors import PTuningError
from .messages import fail

PER_TYPE = "_per_type"


def evaluate_cli(
    model: Annotated[str, typer.Argument(help="The name of an installed pipeline, or its folder.")],
    data_path: Annotated[Path, typer.Argument(help="Gold data in .spacy format.", exists=True)],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A JSON file for the scores.")] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            "--predictions",
            "-p",
            help="Where to write what was predicted, in the form of the task's official files: a folder, or one file.",
        ),
    ] = None,
    gpu_id: Annotated[int, typer.Option("--gpu-id", "-g", help="A GPU, or -1 for the CPU.")] = -1,
) -> None:
    """Score a pipeline on gold data as `spacy evaluate` does, but give it questions, predicates and second texts.

    What is given is what the reader of the dev corpus gives, where the pipeline was trained with
    spacy_ptv2.Corpus.v1, else all of it.
    """
    import spacy

    setup_gpu(gpu_id)
    nlp = spacy.load(model)
    scores, examples = evaluate(nlp, data_path)
    _show(scores)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        srsly.write_json(output, scores)
        msg.good(f"Saved the scores to {output}")
    if predictions is not None:
        _save_predictions(predictions, examples)


def _show(scores: Mapping[str, Any]) -> None:
    rows = [
        (name, "-" if value is None else f"{value:.4f}")
        for name, value in scores.items()
        if not isinstance(value, Mapping)
    ]
    msg.table(rows, title="Scores", aligns=("l", "r"))
    for name, value in scores.items():
        if name.endswith(PER_TYPE) and isinstance(value, Mapping):
            keys = sorted({key for own in value.values() for key in own})
            lines = [(label, *(f"{own.get(key, 0.0):.4f}" for key in keys)) for label, own in value.items()]
            msg.table(lines, header=("", *keys), title=name.removesuffix(PER_TYPE), aligns=("l", *"r" * len(keys)))


def _save_predictions(path: Path, examples: Sequence[Example]) -> None:
    try:
        written = write_predictions(path, examples)
    except PTuningError as error:
        fail(f"Cannot write predictions to {path}", str(error))
    for file in written:
        msg.good(f"Saved predictions to {file}")


class _KeepingScorer(Scorer):
    """A scorer that keeps the examples: `nlp.evaluate` predicts on copies, which nobody else sees."""

    examples: list[Example]

    def score(self, examples: Iterable[Example], *, per_component: bool = False) -> dict[str, Any]:
        """Score examples."""
        self.examples = list(examples)
        return super().score(self.examples, per_component=per_component)


def evaluate(nlp: Any, data_path: Path) -> tuple[dict[str, Any], list[Example]]:
    """Return the scores of a pipeline on a `.spacy` file, and the examples. nlp (Language): The pipeline."""
    scorer = _KeepingScorer(nlp=nlp)
    scores: dict[str, Any] = nlp.evaluate(read_examples(nlp, data_path), scorer=scorer)
    return scores, scorer.examples


def read_examples(nlp: Any, data_path: Path) -> list[Example]:
    """Return the gold Docs of a `.spacy` file, with what a pipeline is given of them. nlp (Language): The pipeline."""
    from ..corpora.given_corpus import build_corpus_v1

    reader = nlp.config.get("corpora", {}).get("dev", {})
    given = reader.get("given") if reader.get("@readers") == "spacy_ptv2.Corpus.v1" else None
    return list(build_corpus_v1(data_path, given)(nlp))
