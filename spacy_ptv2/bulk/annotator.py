"""A callable for engines that bring batches of rows to processes: Ray Data's `map_batches`, Spark's `mapInPandas`.

In: a batch, as a dict of columns or a data frame. Out: the same with a column of annotations as JSON, and one that says
why a row has none. It can be pickled; each process loads the pipelines once, when it is first called there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..pipeline.batching import batch_by_tokens
from ..serving.naming import name_pipelines
from .pipelines import Found, load_once
from .records import Columns
from .work import MOST_CHARACTERS
from .writers import annotations_of, dump


class Annotator:
    """Annotates batches of rows.

    pipelines (str | Sequence[str] | Mapping[str, str]): Packages or folders. A name of the task may be given by
        NAME=PIPELINE or as the key; else it is the last part of the path.
    text, annotations, problem (str): The columns with texts, for annotations, and for what kept a row from being
        annotated.
    gpu_id (int): A GPU, or -1 for the CPU. share (int): How many processes share this machine's cores.
    RAISES (PTuningError): P790, P794; P792 once it is called, if a pipeline cannot be loaded.
    """

    def __init__(
        self,
        pipelines: str | Sequence[str] | Mapping[str, str],
        *,
        text: str = Columns.text,
        annotations: str = Columns.annotations,
        problem: str = "problem",
        gpu_id: int = -1,
        share: int = 1,
    ) -> None:
        if not isinstance(pipelines, Mapping):
            pipelines = name_pipelines([pipelines] if isinstance(pipelines, str) else pipelines)
        self.pipelines = dict(pipelines)
        self.text, self.annotations, self.problem = text, annotations, problem
        self.gpu_id, self.share = gpu_id, share

    def __call__(self, batch: Any) -> Any:
        """Annotate a batch, a mapping of columns or a data frame of pandas, and return one of the same kind.

        RAISES (KeyError): If it has no column with texts.
        """
        found = self.annotate(list(batch[self.text]))
        columns = {
            self.annotations: [None if isinstance(own, str) else dump(annotations_of(own)) for own in found],
            self.problem: [own if isinstance(own, str) else None for own in found],
        }
        return {**batch, **columns} if isinstance(batch, Mapping) else batch.assign(**columns)

    def annotate(self, texts: Sequence[Any]) -> list[Found | str]:
        """Annotate texts. RETURNS (list): For each its Docs by task, or why there are none."""
        pipelines = load_once(tuple(self.pipelines.items()), self.gpu_id, self.share)
        found: list[Found | str] = [f"expected a text, got {_kind(text)}" for text in texts]
        good = [(place, str(text)) for place, text in enumerate(texts) if isinstance(text, str)]  # numpy has its own
        for batch in batch_by_tokens(good, pipelines.batch_size, MOST_CHARACTERS, n_tokens=lambda pair: len(pair[1])):
            for (place, _), own in zip(batch, pipelines.annotate([text for _, text in batch]), strict=True):
                found[place] = own
        return found


def _kind(value: Any) -> str:
    """Return what a value is that is no text. In data frames NaN, and NA of pandas, stand for none."""
    is_nan = isinstance(value, (float, np.floating)) and math.isnan(value)
    return "none" if value is None or is_nan or type(value).__name__ == "NAType" else f"a {type(value).__name__}"
