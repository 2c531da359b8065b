"""Annotation of every task against the passes of its backbone alone.

python -m benchmarks.speed.tasks [--backbone NAME_OR_FOLDER] [--sentences 400] [--repeats 7] [--results FILE.md]

Each task is the pipeline of its shipped config with an untrained adapter and head, over Wikigold: entities, classes and
pairs of sentences, roles of every tenth word, five questions to each document of 300 words, and ten questions to one
document of 2,000 words. One run of `nlp.pipe` notes the windows that the backbone reads; then whole runs and the passes
over those windows alone alternate. "share" is the time of the passes in that of the run, "more than the passes" what
the run takes in addition. "beside entities" is the share divided by that of the entities in the same round.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import typer
from spacy.language import Language
from spacy.tokens import Doc

from spacy_ptv2.bridge.adapter_shim import AdapterShim
from spacy_ptv2.serialization.models import adapter_shims

from ..lib.annotators import annotate, cut_texts, read_texts
from ..lib.pipelines import MINILM, seconds, spread
from ..lib.results import record, table
from ..lib.tasks import ask_pairs, ask_questions, ask_roles, build_task, copies_of

HEADER = ("task", "passes", "share", "more than the passes", "beside entities")
ENTITIES = "entities"


@dataclass
class Task:
    """A pipeline, its Docs with what they are asked, and the passes of its backbone."""

    nlp: Language
    docs: list[Doc]

    def __post_init__(self) -> None:
        self.passes: list[Callable[[], object]] = []
        for _, pipe in self.nlp.pipeline:
            for shim in adapter_shims(getattr(pipe, "model", None)):
                self._note_passes(shim)
        annotate(self.nlp, copies_of(self.docs))
        for shim, predict in self._restore:
            shim.predict = predict  # type: ignore[method-assign]

    def _note_passes(self, shim: AdapterShim) -> None:
        predict = shim.predict
        self._restore = [*getattr(self, "_restore", []), (shim, predict)]

        def note(windows: Any) -> Any:
            self.passes.append(partial(predict, windows))
            return predict(windows)

        shim.predict = note  # type: ignore[method-assign]

    def times(self) -> tuple[float, float]:
        """Return the seconds of the run, and of the passes alone. Docs are made before the clock starts."""
        copies = copies_of(self.docs)
        whole = seconds(partial(annotate, self.nlp, copies))
        return whole, seconds(lambda: [run() for run in self.passes])


def main(backbone: str = MINILM, sentences: int = 400, repeats: int = 7, results: Path | None = None) -> None:
    """Print and record one row per task."""
    texts = read_texts(None, sentences)
    n_words = sum(len(text.words) for text in texts)

    def docs_of(nlp: Language, n_words_each: int = 0, most: int = 0) -> list[Doc]:
        chosen = cut_texts(texts, most or n_words, n_words_each) if n_words_each else texts
        return [text.make_doc(nlp) for text in chosen]

    long = partial(docs_of, n_words_each=2000, most=2000)
    tasks = {
        ENTITIES: Task(*build_task("ner", backbone, docs_of)),
        "classes": Task(*build_task("textcat", backbone, docs_of)),
        "pairs": Task(*build_task("pairs", backbone, docs_of, ask_pairs)),
        "roles": Task(*build_task("srl", backbone, docs_of, ask_roles)),
        "questions": Task(*build_task("squad", backbone, partial(docs_of, n_words_each=300), ask_questions)),
        "10 questions, 2,000 words": Task(*build_task("squad", backbone, long, partial(ask_questions, n=10))),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in tasks}
    for _ in range(repeats + 1):
        for name, task in tasks.items():
            times[name].append(task.times())
    rows = rows_of({name: own[1:] for name, own in times.items()}, {n: len(t.passes) for n, t in tasks.items()})
    text = table(HEADER, rows)
    print(text)
    record(f"Tasks: {Path(backbone).name}, {sentences} sentences of Wikigold, untrained", text, results)


def rows_of(times: dict[str, list[tuple[float, float]]], n_passes: dict[str, int]) -> list[list[str]]:
    """Return the rows of the table. times: Of whole runs and of passes alone, in each round."""
    shares = {name: [passes / whole for whole, passes in own] for name, own in times.items()}
    beside = {name: [a / b for a, b in zip(own, shares[ENTITIES], strict=True)] for name, own in shares.items()}
    return [
        [
            name,
            str(n_passes[name]),
            spread(shares[name]),
            spread([100 * (whole / passes - 1) for whole, passes in own]) + " %",
            "" if name == ENTITIES else spread(beside[name]),
        ]
        for name, own in times.items()
    ]


if __name__ == "__main__":
    typer.run(main)
