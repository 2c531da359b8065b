"""Words per second of a training step: prompts against fine-tuning under spaCy, and against PEFT in plain torch.

python -m benchmarks.training_step [--backbone NAME_OR_FOLDER] [--corpus FILE.spacy] [--sentences 200] [--repeats 5]

Sentences from all over the corpus in batches of 640 padded words, as in configs/finetune_ner.cfg. Under spaCy: steps
of the shipped configs, fine-tuning in float32 with the head of ours. In plain torch: the same batches as padded
pieces; ours there trains what PEFT trains, keys and values without dropout of their own, and with "mix, casing" all
that the config does. In bf16 our backbone and the bare one have bfloat16 weights, the peers run under autocast, as
they come. Attention weights are dropped nowhere unless --attention-dropout lets the peers, as they come, do it. The
limit is forward and backward of the bare backbone for the gradient of its piece embeddings. All candidates take a
batch in turn, then the next; a ratio is that of the times for all batches of one round. The first round warms up.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import typer

from spacy_ptv2.backbones.backbone import Backbone
from spacy_ptv2.backbones.precision import Precision, has_bfloat16
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource

from .pipelines import MINILM, spread, top_third
from .results import RESULTS, record, table
from .torch_loops import (
    BareStates,
    OurStates,
    PeftStates,
    RowPromptStates,
    TorchBatch,
    TorchLoop,
    load_frozen,
    pad_batches,
    takes_past,
)
from .training import FP32, WARM_CACHE, SpacyLoop, finetune_config, prompt_config, save_sentences, top_third_changes

HEADER = ("loop", "what trains", "precision", "to fine-tuning", "to PEFT at the same P")
SHIPPED_LENGTH = 64
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
PEFT, ROWWISE = "PEFT", "prompt per row"


@dataclass(frozen=True)
class Candidate:
    """One way to train. loop, what, precision: As printed.

    length (int): Of its prompt, 0 without. step (Callable | None): Learns from a batch, by its number; None if this way
    is closed.
    """

    loop: str
    what: str
    precision: str
    length: int
    step: Callable[[int], None] | None

    @property
    def bfloat16(self) -> bool:
        """Whether it computes in bfloat16."""
        return "bf16" in self.precision


def main(
    backbone: str = MINILM,
    corpus: Path | None = None,
    sentences: int = 200,
    repeats: int = 5,
    lengths: str = "16,64,128",
    attention_dropout: bool = False,
    results: Path = RESULTS,
) -> None:
    """Print one row per candidate and write them to the results."""
    held = get_backbone(BackboneSource(backbone, dtype="float32"))
    with tempfile.TemporaryDirectory() as folder:
        train = save_sentences(corpus, sentences, Path(folder))
        under_spacy = list(spacy_candidates(train, backbone, held))
        loop = SpacyLoop(prompt_config(train, backbone))
    batches, n_tags = pad_batches(loop.nlp, loop.batches, held)
    prompts = [int(length) for length in lengths.split(",")]
    in_torch = torch_candidates(batches, backbone, n_tags, prompts, attention_dropout)
    candidates = [*under_spacy, *in_torch]
    times = measure(candidates, len(batches), repeats)
    n_words = sum(len(batch.tags) for batch in batches)
    title = f"{n_words} words in {len(batches)} batches, {repeats} rounds; words per second as a ratio"
    text = f"{title}\n\n{table(HEADER, rows(candidates, times))}"
    print(text)
    record(f"Training step, {Path(backbone).name}", text, results)


def spacy_candidates(corpus: Path, backbone: str, held: Backbone) -> Iterator[Candidate]:
    """Yield fine-tuning, then prompts in all layers, in the top third, and there with a cache of the layers below."""
    finetuning = SpacyLoop(finetune_config(corpus, backbone))
    yield Candidate("spaCy", "fine-tuning", "fp32", 0, finetuning.step)
    shipped = "as shipped: bf16" if has_bfloat16(held.device) else "as shipped: fp32"
    top = top_third_changes(top_third(held.n_layers))
    places = {"all layers": {}, "top third": top, "top third, warm cache": {**top, **WARM_CACHE}}
    for where, placed in places.items():
        for precision, changes in (("fp32", FP32), (shipped, {})):
            loop = SpacyLoop(prompt_config(corpus, backbone, {**placed, **changes}))
            yield Candidate("spaCy", f"ours, P={SHIPPED_LENGTH}, {where}", precision, SHIPPED_LENGTH, loop.step)


def torch_candidates(
    batches: Sequence[TorchBatch],
    backbone: str,
    n_tags: int,
    lengths: Sequence[int],
    attention_dropout: bool,
) -> Iterator[Candidate]:
    """Yield for each precision and length ours, PEFT and a prompt per row, then the limit."""
    peer = load_frozen(backbone, attention_dropout=attention_dropout).train()
    width = peer.config.hidden_size
    for dtype in PRECISIONS[: 1 + has_bfloat16(peer.device)]:
        bfloat16, precision = dtype == "bfloat16", "bf16" if dtype == "bfloat16" else "fp32"
        held = get_backbone(BackboneSource(backbone, dtype=dtype))
        bare = load_frozen(backbone, attention_dropout=False, dtype=held.model.dtype)

        def candidate(what: str, length: int, states: torch.nn.Module | None, precision: str = precision) -> Candidate:
            step = None if states is None else TorchLoop(states, batches, width, n_tags).step
            return Candidate("torch", f"{what}, P={length}" if length else what, precision, length, step)

        for length in lengths:
            yield candidate("ours", length, OurStates(held, length, plain=True))
            if length == SHIPPED_LENGTH:
                yield candidate("ours, mix, casing", length, OurStates(held, length, plain=False))
            peers = {PEFT: PeftStates, ROWWISE: RowPromptStates}
            for what, kind in peers.items():
                yield candidate(what, length, kind(peer, length, bfloat16=bfloat16) if takes_past(peer) else None)
        yield candidate("bare backbone: the limit", 0, BareStates(bare))


def measure(candidates: Sequence[Candidate], n_batches: int, repeats: int) -> Mapping[int, list[float]]:
    """Return the seconds that each candidate, by its number, takes for all batches in each round but the first."""
    times: dict[int, list[float]] = {number: [] for number, candidate in enumerate(candidates) if candidate.step}
    for _ in range(repeats + 1):
        for number in times:
            times[number].append(0.0)
        for batch in range(n_batches):
            for number in times:
                step = candidates[number].step
                start = time.perf_counter()
                step(batch)  # type: ignore[misc]
                times[number][-1] += time.perf_counter() - start
    return {number: rounds[1:] for number, rounds in times.items()}


def rows(candidates: Sequence[Candidate], times: Mapping[int, Sequence[float]]) -> list[tuple[str, ...]]:
    """Return the rows of the table: ratios to the first candidate and to PEFT at the same length and precision."""
    peft = {(c.length, c.bfloat16): times.get(number) for number, c in enumerate(candidates) if c.what.startswith(PEFT)}
    lines = []
    for number, candidate in enumerate(candidates):
        own = times.get(number)
        cells = [
            "takes no past_key_values" if own is None else ratio(times[0], own),
            ratio(peft.get((candidate.length, candidate.bfloat16)), own),
        ]
        lines.append((candidate.loop, candidate.what, candidate.precision, *cells))
    return lines


def ratio(theirs: Sequence[float] | None, own: Sequence[float] | None) -> str:
    """Return how many times as fast, median and range over the rounds; empty if there is nothing to compare."""
    if theirs is None or own is None or theirs is own:
        return ""
    text: str = spread([a / b for a, b in zip(theirs, own, strict=True)])
    return text


if __name__ == "__main__":
    typer.run(main)
