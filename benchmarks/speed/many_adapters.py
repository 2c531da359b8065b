"""Several tasks over one backbone in one pipeline: against one task, and against a pass of its own for each.

python -m benchmarks.speed.many_adapters [--backbone NAME_OR_FOLDER] [--tasks 8] [--docs 400] [--repeats 5]

Sentences of Wikigold, whole `nlp.pipe` including tokenisation, heads, decoding and annotation; the pipelines alternate
within one run. Checks first that the token vectors of every task are those of the task alone, to 1e-5.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import median

import numpy as np
import typer
from spacy.language import Language
from spacy.tokens import Doc

from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource

from ..lib.pipelines import MINILM, blank, read_docs, seconds, spread, top_third


def main(backbone: str = MINILM, tasks: int = 8, docs: int = 400, repeats: int = 5) -> None:
    """Print one row per placement of the prompts."""
    n_layers = get_backbone(BackboneSource(backbone)).n_layers
    names = [f"task_{number}" for number in range(tasks)]
    print(
        f"{'prompts in':>12} {f'{tasks} tasks / 1 task':>24} {f'{tasks} tasks / {tasks} passes':>24} {'difference':>11}"
    )
    for where, layers in (("top third", list(top_third(n_layers))), ("all layers", None)):
        shared = blank(names, backbone, layers, shared=True)
        separate = [blank([name], backbone, layers, shared=False) for name in names]
        texts = [doc.text for doc in read_docs(shared, docs)]
        difference = compare(shared, separate, names, texts)
        to_one, to_all = [], []
        for _ in range(repeats + 1):
            together = seconds(partial(annotate, shared, texts))
            each = [seconds(partial(annotate, nlp, texts)) for nlp in separate]
            to_one.append(together / median(each))
            to_all.append(together / sum(each))
        print(f"{where:>12} {spread(to_one[1:]):>24} {spread(to_all[1:]):>24} {difference:>11.1e}", flush=True)


def compare(shared: Language, separate: Sequence[Language], names: Sequence[str], texts: list[str]) -> float:
    """Return the largest difference between a task's logits in the two pipelines; stop if an entity differs."""
    docs = [shared.make_doc(text) for text in texts]
    shared.get_pipe("shared_backbone")._read_ahead(docs)  # type: ignore[attr-defined]
    together = [shared.get_pipe(name).model.predict(docs) for name in names]  # type: ignore[attr-defined]
    annotated = list(shared.pipe(texts))
    differences = []
    for logits, name, nlp in zip(together, names, separate, strict=True):
        alone = nlp.get_pipe(name).model.predict([nlp.make_doc(text) for text in texts])  # type: ignore[attr-defined]
        differences += [float(np.abs(a - b).max()) for a, b in zip(logits, alone, strict=True)]
        if [spans(doc, name) for doc in annotated] != [spans(doc, name) for doc in nlp.pipe(texts)]:
            raise SystemExit(f"{name}: the entities differ")
    return max(differences)


def spans(doc: Doc, name: str) -> list[tuple[int, int, str]]:
    """Return the entities of a task."""
    return [(span.start, span.end, span.label_) for span in doc.spans[name]]


def annotate(nlp: Language, texts: list[str]) -> None:
    """Run a pipeline over texts."""
    for _ in nlp.pipe(texts, batch_size=256):
        pass


if __name__ == "__main__":
    typer.run(main)
