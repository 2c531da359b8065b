"""What benchmarks run on: pipelines over a backbone with seeded, untrained prompts, and Wikigold as texts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.util import fix_random_seed
from spacy.vocab import Vocab

from spacy_ptv2.corpora.conll import read_conll, to_docs

CONFIGS = Path(__file__).parents[2] / "configs"
WIKIGOLD = Path(__file__).parents[2] / "project" / "assets" / "wikigold" / "wikigold.conll.txt"
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
LABELS = ["LOC", "MISC", "ORG", "PER"]


def baseline_config() -> Path:
    """Return configs/finetune_ner.cfg, or stop where spacy-transformers is missing, which it is made of."""
    if find_spec("spacy_transformers") is None:
        raise SystemExit(
            "Fine-tuning needs spacy-transformers, not installed here. Run `make install-spacy-transformers`, then "
            "this command by .venv-spacy-transformers/bin/python."
        )
    return CONFIGS / "finetune_ner.cfg"


def read_corpus(corpus: Path | None, vocab: Vocab) -> Iterator[Doc]:
    """Yield the annotated documents of a `.spacy` file, or the sentences of Wikigold for None."""
    return to_docs(read_conll(WIKIGOLD), vocab) if corpus is None else DocBin().from_disk(corpus).get_docs(vocab)


def corpus_name(corpus: Path | None) -> str:
    """Return what the results call a corpus."""
    return "Wikigold" if corpus is None else f"{corpus.parent.name}/{corpus.stem}"


def read_docs(nlp: Language, n_docs: int) -> list[Doc]:
    """Return the first sentences of Wikigold without annotations, tokenised as there."""
    docs = read_corpus(None, nlp.vocab)
    return [Doc(nlp.vocab, words=[t.text for t in doc]) for doc, _ in zip(docs, range(n_docs), strict=False)]


def tok2vec_block(backbone: str, layers: Sequence[int] | None, length: int = 64) -> dict[str, Any]:
    """Return the config of a prompt-tuned tok2vec whose layers below the prompt are those of the backbone alone.

    In float32 and torch, so that what is computed in different company can be compared.

    backbone (str): A hub id or a folder. layers (Sequence[int] | None): Those with a prompt, None for all.
    """
    return {
        "@architectures": "spacy_ptv2.Tok2VecPTuning.v1",
        "backbone": {"@misc": "spacy_ptv2.Backbone.v1", "name": backbone, "dtype": "float32"},
        "adapter": {
            "@misc": "spacy_ptv2.Adapter.v1",
            "prompt": {
                "@misc": "spacy_ptv2.Prompt.v1",
                "length": length,
                "layers": None if layers is None else [*layers],
            },
            "lora_rank": 0,
            "word_shape_place": "prompt",
        },
        "runtime": {"@misc": "spacy_ptv2.Runtime.v1", "engine": "torch"},
    }


def add_entity_task(
    nlp: Language,
    name: str,
    backbone: str,
    layers: Sequence[int] | None,
    length: int = 64,
    seed: int = 0,
    deviation: float = 0.06,
) -> None:
    """Add a `token_classifier` with a prompt of its own and random weights that find an entity now and then.

    deviation (float): Of the weights of the head; the more, the more entities.
    """
    tok2vec = tok2vec_block(backbone, layers, length)
    model = {"@architectures": "spacy_ptv2.TokenClassifier.v1", "tok2vec": tok2vec}
    pipe = nlp.add_pipe("token_classifier", name=name, config={"spans_key": name, "overwrite": True, "model": model})
    fix_random_seed(seed)
    blank_doc = Doc(nlp.vocab, words=["a"])
    pipe.initialize(lambda: [Example(blank_doc, blank_doc)], nlp=nlp, labels=LABELS)  # type: ignore[attr-defined]
    draw_head(pipe, seed, deviation)


def draw_head(pipe: Any, seed: int = 0, deviation: float = 0.06) -> None:
    """Give a `token_classifier` random weights that find an entity now and then."""
    output = pipe.model.get_ref("output_layer")
    weights = np.random.RandomState(seed).normal(scale=deviation, size=output.get_param("W").shape)
    output.set_param("W", output.ops.asarray2f(weights))
    bias = output.get_param("b")
    bias[0] = 2.0  # "O"
    output.set_param("b", bias)


def top_third(n_layers: int) -> range:
    """Return the deepest third of a backbone's layers."""
    return range(n_layers - n_layers // 3, n_layers)


def blank(
    names: Sequence[str], backbone: str, layers: Sequence[int] | None, *, shared: bool, deviation: float = 0.06
) -> Language:
    """Return a pipeline with an entity task of each name; equal names give equal tasks."""
    nlp = spacy.blank("en")
    if shared:
        nlp.add_pipe("shared_backbone")
    for name in names:
        add_entity_task(nlp, name, backbone, layers, seed=int(name.rpartition("_")[2]), deviation=deviation)
    return nlp


def save_tasks(
    folder: Path, names: Sequence[str], backbone: str, layers: Sequence[int] | None, deviation: float
) -> dict[str, Path]:
    """Save a pipeline of each name. RETURNS: Where they are."""
    for name in names:
        blank([name], backbone, layers, shared=False, deviation=deviation).to_disk(folder / name)
    return {name: folder / name for name in names}


def seconds(run: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def spread(ratios: list[float]) -> str:
    """Return median and range."""
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
