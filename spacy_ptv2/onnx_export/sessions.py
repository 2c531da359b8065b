"""Runs an exported graph in ONNX Runtime and compares it with the pipeline that it was made of.

In: a graph's file, a recognizer, Docs. Out: scores of tags for their tokens, how far they are off, and how many
entities are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from spacy.tokens import Doc
from thinc.types import Ragged

from ..adapters.batches import PieceBatch
from ..engines.graph import largest_error
from .recognizer import Recognizer

Floats2d = NDArray[np.float32]


@dataclass(frozen=True)
class Comparison:
    """How a graph differs from its pipeline.

    error (float): The mean error of the scores, as a share of their mean size.
    n_expected (int): Entities of the pipeline. n_found (int): Those of the graph. n_same (int): Those of both.
    """

    error: float
    n_expected: int
    n_found: int
    n_same: int

    def __str__(self) -> str:
        more = f", and {self.n_found - self.n_same} others" if self.n_found > self.n_same else ""
        return f"{self.n_same} of the pipeline's {self.n_expected} entities{more}; scores off by {self.error:.1g}"


def compare(file: Path, recognizer: Recognizer, docs: Sequence[Doc]) -> Comparison:
    """Compare a graph with the pipeline that it was made of, on Docs without entities."""
    docs = list(docs)
    expected, scores = np.asarray(recognizer.scores(docs)), _scores(file, recognizer, docs)
    is_word = torch.tensor([not token.is_space for doc in docs for token in doc])
    error = largest_error((torch.from_numpy(scores),), (torch.from_numpy(expected),), is_word)
    own, given = (_entities(recognizer, docs, logits) for logits in (scores, expected))
    return Comparison(error, len(given), len(own), len(own & given))


def _entities(recognizer: Recognizer, docs: list[Doc], scores: Any) -> set[tuple[int, int, int, str]]:
    """Return the entities of all Docs: the number of the Doc, start, end, label."""
    by_doc = enumerate(recognizer.head.entities(docs, scores))
    return {(number, start, end, label) for number, own in by_doc for start, end, label, _ in own}


def _scores(file: Path, recognizer: Recognizer, docs: Sequence[Doc]) -> Floats2d:
    """Return the scores of tokens, 0 for those of spaces. Shape: (n_tokens, n_tags)"""
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    encoded = recognizer.windows.encode(docs, [recognizer.shim])
    rows = encoded.rows
    batches = recognizer.windows.batch(encoded.windows, [rows.states], recognizer.backbone, is_train=False)
    found = np.concatenate([_run(session, batch) for batch in batches.batches])[batches.orders[0].numpy()]
    words = np.flatnonzero(rows.lengths)
    scores = np.zeros((len(rows.lengths), found.shape[1]), dtype=np.float32)
    lengths: Any = rows.lengths[words].astype("int32")
    scores[words] = recognizer.pooling.predict(Ragged(found, lengths))
    return scores


def _run(session: Any, batch: PieceBatch) -> Floats2d:
    """Return the scores of the wanted pieces of a batch. Shape: (n_wanted, n_tags)"""
    tensors = (batch.ids, batch.mask, batch.word_shape)  # the last one only where there are word shapes
    names = [entry.name for entry in session.get_inputs()]
    (scores,) = session.run(None, dict(zip(names, (tensor.numpy() for tensor in tensors), strict=False)))
    wanted: Floats2d = scores.reshape(-1, scores.shape[-1])[batch.readings[0].wanted.numpy()]
    return wanted
