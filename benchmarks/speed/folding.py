"""What LoRA and the prompt take of the time of annotation, with LoRA beside the weights and folded into them.

python -m benchmarks.speed.folding [--backbone NAME_OR_FOLDER] [--corpus FILE.spacy] [--docs 600] [--repeats 7]
    [--deviation 0.02]

The pipeline of configs/ner.cfg with a random LoRA, on documents of a corpus (default: the sentences of Wikigold), in
each engine. A ratio is the processor time of `nlp.pipe` beside that of the same pipeline without prompt and LoRA; all
alternate within each round and the first warms up. "off": how far the hidden states with LoRA folded are from those
with LoRA beside the weights, the mean error as a share of their size.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from spacy.language import Language

from spacy_ptv2.serialization.models import adapter_shims

from ..lib.annotators import Text, ours, read_texts, without_tuning
from ..lib.pipelines import MINILM, corpus_name, spread
from ..lib.results import record, table
from .efficiency import annotate_texts, find_candidates

BESIDE, FOLDED, UNTUNED = "beside", "folded", "untuned"
HEADER = ("engine, precision", "LoRA beside / untuned", "LoRA folded / untuned", "folded / beside", "off")


def main(
    backbone: str = MINILM,
    corpus: Path | None = None,
    docs: int = 600,
    repeats: int = 7,
    deviation: float = 0.02,
    results: Path | None = None,
) -> None:
    """Print and record a row for each engine. docs: How many, 0 for all. deviation: Of the numbers of LoRA."""
    texts = read_texts(corpus, docs)
    rows = []
    for name, (engine, dtype) in find_candidates(torch.device("cpu")).items():
        settings = {"dtype": dtype, "runtime.engine": engine}
        pipelines = {
            BESIDE: with_lora(ours(backbone, **settings), deviation),
            FOLDED: with_lora(ours(backbone, **settings, **{"runtime.fold_lora": True}), deviation),
            UNTUNED: without_tuning(ours(backbone, **settings)),
        }
        times = measure(pipelines, texts, repeats)
        pairs = ((BESIDE, UNTUNED), (FOLDED, UNTUNED), (FOLDED, BESIDE))
        rows.append((name, *(ratios(times[a], times[b]) for a, b in pairs), f"{off(pipelines, texts[:50]):.2g}"))
    text = table(HEADER, rows)
    print(text)
    record(f"Deep prompts of 8 and LoRA of rank 7, {Path(backbone).name}, {corpus_name(corpus)}", text, results)


def with_lora(nlp: Language, deviation: float) -> Language:
    """Give the LoRA of a pipeline seeded random numbers. RETURNS: The same pipeline."""
    torch.manual_seed(1)
    for shim in adapter_shims(nlp.get_pipe("transformer").model):  # type: ignore[attr-defined]
        torch.nn.init.normal_(shim.encoder.lora.weights, std=deviation)  # type: ignore[union-attr]
    return nlp


def measure(pipelines: Mapping[str, Language], texts: Sequence[Text], repeats: int) -> dict[str, list[float]]:
    """Return the processor time that each pipeline took in each round but the first."""
    times: dict[str, list[float]] = {name: [] for name in pipelines}
    for _ in range(repeats + 1):
        for name, nlp in pipelines.items():
            start = time.process_time()
            annotate_texts(nlp, texts)
            times[name].append(time.process_time() - start)
    return {name: own[1:] for name, own in times.items()}


def ratios(above: Sequence[float], below: Sequence[float]) -> str:
    """Return the spread of the ratios of two candidates, round by round."""
    return str(spread([a / b for a, b in zip(above, below, strict=True)]))


def off(pipelines: Mapping[str, Language], texts: Sequence[Text]) -> float:
    """Return the mean error of token vectors with LoRA folded, as a share of their size."""
    expected, folded = (vectors(pipelines[name], texts) for name in (BESIDE, FOLDED))
    return float(np.abs(folded - expected).mean() / np.abs(expected).mean())


def vectors(nlp: Language, texts: Sequence[Text]) -> Any:
    """Return the vectors of all tokens. Shape: (n_tokens, hidden_width)"""
    transformer: Any = nlp.get_pipe("transformer")
    return np.concatenate(transformer.predict([text.make_doc(nlp) for text in texts]))


if __name__ == "__main__":
    typer.run(main)
