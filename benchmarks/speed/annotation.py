"""Whole `nlp.pipe` of ours against spacy-transformers with `ner`, the bare forward pass, and ours untuned.

python -m benchmarks.speed.annotation [--backbone NAME_OR_FOLDER] [--corpus FILE.spacy] [--docs 0] [--long 2]
    [--repeats 5] [--length 64 --rank 0] [--candidate NAME ...]
python -m benchmarks.speed.annotation --pipeline training/model-best --corpus dev.spacy

On the documents of a corpus (default: the sentences of Wikigold) and on some of 5,000 words joined from them. Words are
given, so that nobody tokenises them; Docs are made before the clock starts. Candidates alternate within each repeat
and the first round warms up. "of the limit": the speed beside that of the bare model in torch over the same windows, in
batches that are sorted over the whole corpus and padded beforehand, with weights of the same precision. "time /
untuned": beside ours without prompt and adapter. With a trained pipeline also the entity F1 of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import typer
from spacy.language import Language

from spacy_ptv2.options import EngineName

from ..lib.annotators import (
    BareForward,
    Text,
    annotate,
    backbone_of,
    cut_texts,
    entity_f1,
    ours,
    read_texts,
    spacy_transformers,
    trained,
    without_tuning,
)
from ..lib.pipelines import MINILM, corpus_name, seconds, spread
from ..lib.results import record, table

PRECISIONS = {"fp32": "float32", "bf16": "bfloat16"}
CANDIDATES: dict[str, tuple[EngineName, str]] = {
    "torch": ("torch", "fp32"),
    "OpenVINO": ("openvino", "fp32"),
    "OpenVINO, int8": ("openvino-int8", "fp32"),
    "torch, bf16": ("torch", "bf16"),
    "as shipped: OpenVINO, bf16": ("openvino", "bf16"),
    "OpenVINO, int8 and bf16": ("openvino-int8", "bf16"),
}
BARE = "bare model in torch"
THEIRS = "spacy-transformers + ner"
HEADER = ("texts", "candidate", "faster than theirs", "of the limit", "time / untuned", "entity F1")


def main(
    backbone: str = MINILM,
    corpus: Path | None = None,
    docs: int = 0,
    long: int = 2,
    long_words: int = 5000,
    length: int | None = None,
    rank: int | None = None,
    candidate: list[str] | None = None,
    repeats: int = 5,
    pipeline: Path | None = None,
    results: Path | None = None,
) -> None:
    """Print and record one row per precision and kind of text.

    docs: How many of the corpus, 0 for all. long: How many long documents. length, rank: Of the prompt and of the
    adapter of an untrained pipeline; by default those of configs/ner.cfg. candidate: Names of CANDIDATES; by default
    all of them.
    """
    if unknown := sorted(set(candidate or ()) - set(CANDIDATES)):
        raise typer.BadParameter(f"got {unknown}, expected some of {list(CANDIDATES)}", param_hint="--candidate")
    names = candidate or list(CANDIDATES)
    asked = {"adapter.prompt.length": length, "adapter.lora_rank": rank}
    tuning = {name: value for name, value in asked.items() if value is not None}
    backbone = backbone if pipeline is None else backbone_of(pipeline)
    texts = read_texts(corpus, docs)
    pipelines = build_pipelines(backbone, tuning, pipeline, names)
    rows = []
    for kind, chosen in (("corpus", texts), (f"{long_words} words", cut_texts(texts, long * long_words, long_words))):
        if chosen:
            times = measure(pipelines, backbone, chosen, repeats)
            scores = {} if pipeline is None else {name: entity_f1(pipelines[name], chosen) for name in names}
            rows += [[kind, *row] for row in compare(times, scores, names)]
    text = table(HEADER, rows)
    print(text)
    name = Path(backbone).name if pipeline is None else f"the pipeline {pipeline.parent.name}/{pipeline.name}"
    what = "".join(f", {key} {value}" for key, value in tuning.items())
    which = f": {'; '.join(names)}" if candidate else ""
    record(f"Annotation: {name}{what}, {corpus_name(corpus)}{which}", text, results)


def build_pipelines(
    backbone: str, tuning: Mapping[str, int], pipeline: Path | None, names: Sequence[str]
) -> dict[str, Language]:
    """Return theirs, and ours of the candidates named, tuned and untuned."""
    found = {THEIRS: spacy_transformers(backbone)}
    for name in names:
        engine, precision = CANDIDATES[name]
        dtype = PRECISIONS[precision]
        build = (
            partial(ours, backbone, dtype=dtype, **{**tuning, "runtime.engine": engine})
            if pipeline is None
            else partial(trained, pipeline, dtype=dtype, engine=engine)
        )
        found[name] = build()
        found[untuned(name)] = without_tuning(build())
    return found


def untuned(name: str) -> str:
    """Return the name of a candidate without prompt and adapter."""
    return f"{name}, untuned"


def measure(
    pipelines: dict[str, Language], backbone: str, texts: Sequence[Text], repeats: int
) -> dict[str, list[float]]:
    """Return the seconds that each candidate took in each round but the first."""
    limits = {f"{BARE}, {name}": BareForward(backbone, dtype, texts) for name, dtype in PRECISIONS.items()}
    times: dict[str, list[float]] = {name: [] for name in (*pipelines, *limits)}
    for _ in range(repeats + 1):
        for name, nlp in pipelines.items():
            times[name].append(seconds(partial(annotate, nlp, [text.make_doc(nlp) for text in texts])))
        for name, run in limits.items():
            times[name].append(seconds(run))
    return {name: own[1:] for name, own in times.items()}


def compare(times: dict[str, list[float]], scores: dict[str, float], names: Sequence[str]) -> list[list[str]]:
    """Return a row for each candidate named, and for the bare model. scores: Entity F1 of each, if there is any."""
    rows = []
    for name in names:
        _, precision = CANDIDATES[name]
        own, bare = times[name], times[untuned(name)]
        faster, share = ratios(times[THEIRS], own), ratios(times[f"{BARE}, {precision}"], own)
        score = f"{scores[name]:.4f}" if name in scores else ""
        rows.append([name, faster, share, ratios(own, bare), score])
    for precision in PRECISIONS:
        name = f"{BARE}, {precision}"
        rows.append([name, ratios(times[THEIRS], times[name]), "", "", ""])
    return rows


def ratios(above: Sequence[float], below: Sequence[float]) -> str:
    """Return the spread of the ratios of two candidates, round by round."""
    text: str = spread([a / b for a, b in zip(above, below, strict=True)])
    return text


if __name__ == "__main__":
    typer.run(main)
