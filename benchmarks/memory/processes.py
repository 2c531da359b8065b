"""Several processes that hold one backbone: the memory that each has for itself, beyond its imports (Linux).

python -m benchmarks.memory.processes [--backbone NAME_OR_FOLDER] [--processes 4] [--dtypes float32,bfloat16]

Each process imports everything, then loads the backbone and its tokenizer, and stays until all have. Pages that only it
has written are its own; those of the file of weights, which is mapped, are in memory once for all.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Annotated

import typer

from ..lib.pipelines import MINILM
from ..lib.results import record, table


def main(
    backbone: str = MINILM,
    processes: int = 4,
    dtypes: Annotated[str, typer.Option(help="With commas.")] = "float32,bfloat16",
    results: Path | None = None,
) -> None:
    """Print a row for each type of the weights, and write them to the results."""
    rows = []
    for dtype in dtypes.split(","):
        with multiprocessing.get_context("spawn").Manager() as manager:
            own = _measure(backbone, dtype, processes, manager.Barrier(processes))
        rows.append((f"torch, {dtype}", f"{max(a for a, _ in own):.0f}", f"{max(b for _, b in own):.0f}"))
    text = table((f"{processes} processes", "MB of its own, idle", "MB of the file, shared"), rows)
    print(text)
    record(f"{Path(backbone).name}, {processes} processes", text, results)


def _measure(backbone: str, dtype: str, processes: int, barrier: Barrier) -> list[tuple[float, float]]:
    with multiprocessing.get_context("spawn").Pool(processes, maxtasksperchild=1) as pool:
        return pool.starmap(_load, [(backbone, dtype, barrier)] * processes, chunksize=1)


def _load(backbone: str, dtype: str, barrier: Barrier) -> tuple[float, float]:
    """Load a backbone. RETURNS: MB of anonymous memory that it added, and of shared pages of files."""
    import spacy_ptv2.architectures  # noqa: F401
    from spacy_ptv2.backbones.registry import get_backbone
    from spacy_ptv2.backbones.source import BackboneSource

    _import_model_classes()
    before = _memory()
    held = get_backbone(BackboneSource(backbone, dtype=dtype))
    _ = held.special_pieces  # which loads the tokenizer
    barrier.wait()
    after = _memory()
    barrier.wait()
    return after["Anonymous"] - before["Anonymous"], after["Shared_Clean"] - before["Shared_Clean"]


def _import_model_classes() -> None:
    """Import what transformers imports when a model is loaded."""
    from transformers import AutoModel, AutoTokenizer, BertModel, PreTrainedTokenizerFast  # noqa: F401


def _memory() -> dict[str, float]:
    """Return megabytes of this process, by kind."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}


if __name__ == "__main__":
    typer.run(main)
