"""Words per second of a training step: deep prompts + LoRA against fine-tuning in spaCy, against PEFT in plain torch.

python -m benchmarks.speed.training_step [--backbone NAME_OR_FOLDER] [--corpus FILE.spacy] [--sentences 200]
    [--repeats 5]

Sentences from all over the corpus in batches of 640 padded words, as in configs/finetune_ner.cfg. Under spaCy: steps
of the shipped configs, and with a prompt of 64 positions and no adapter in place of what is shipped; fine-tuning in
float32 with the head of ours. In plain torch: the same batches as padded pieces; ours there trains what PEFT trains, a
prompt or LoRA without dropout of their own, and "as shipped" all that the config does. In bf16 our
backbone and the bare one have bfloat16 weights, the peers run under autocast, as they come. Attention weights are
dropped nowhere unless --attention-dropout lets the peers, as they come, do it. The limit is forward and backward of
the bare backbone for the gradient of its piece embeddings. All candidates take a batch in turn, then the next; a ratio
is that of the times for all batches of one round. The first round warms up.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import typer

from spacy_ptv2.backbones.backbone import Backbone
from spacy_ptv2.backbones.precision import Precision, is_fast_in_bfloat16
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.options import AdapterOptions

from ..lib.pipelines import MINILM, spread, top_third
from ..lib.results import record, table
from ..lib.torch_loops import (
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
from ..lib.training import (
    ENCODER,
    FP32,
    WARM_CACHE,
    SpacyLoop,
    finetune_config,
    prompt_config,
    save_sentences,
    top_third_changes,
)

HEADER = ("loop", "what trains", "precision", "to fine-tuning", "to PEFT's")
SHIPPED = "as shipped"
LONG_PROMPT = {
    f"{ENCODER}.adapter.prompt.length": 64,
    f"{ENCODER}.adapter.lora_rank": 0,
}  # of the bars, and of the paper's kind
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
PEFT, ROWWISE = "PEFT", "prompt per row"


@dataclass(frozen=True)
class Candidate:
    """One way to train. loop, who, precision: As printed.

    trained (str): What trains, where others train the same; printed. step (Callable | None): Learns from a batch, by
    its number; None if this way is closed.
    """

    loop: str
    who: str
    trained: str
    precision: str
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
    rank: int = 7,
    attention_dropout: bool = False,
    results: Path | None = None,
) -> None:
    """Print one row per candidate and write them to the results. lengths, rank: Of what trains beside PEFT's."""
    held = get_backbone(BackboneSource(backbone, dtype="float32"))
    with tempfile.TemporaryDirectory() as folder:
        train = save_sentences(corpus, sentences, Path(folder))
        under_spacy = list(spacy_candidates(train, backbone, held))
        loop = SpacyLoop(prompt_config(train, backbone))
    batches, n_tags = pad_batches(loop.nlp, loop.batches, held)
    prompts = [int(length) for length in lengths.split(",")]
    in_torch = torch_candidates(batches, backbone, n_tags, prompts, rank, attention_dropout)
    candidates = [*under_spacy, *in_torch]
    times = measure(candidates, len(batches), repeats)
    n_words = sum(len(batch.tags) for batch in batches)
    title = f"{n_words} words in {len(batches)} batches, {repeats} rounds; words per second as a ratio"
    text = f"{title}\n\n{table(HEADER, rows(candidates, times))}"
    print(text)
    record(f"Training step, {Path(backbone).name}", text, results)


def spacy_candidates(corpus: Path, backbone: str, held: Backbone) -> Iterator[Candidate]:
    """Yield fine-tuning, then what is shipped and a long prompt.

    Each of ours in all layers, in the top third, and there with a cache of the layers below.
    """
    finetuning = SpacyLoop(finetune_config(corpus, backbone))
    yield Candidate("spaCy", "fine-tuning", "", "fp32", finetuning.step)
    precisions: dict[str, Mapping[str, Any]] = {"fp32": FP32}
    if is_fast_in_bfloat16(held.device):  # elsewhere that is what is shipped
        precisions[f"{SHIPPED}: bf16"] = {}
    top = top_third_changes(top_third(held.n_layers))
    places = {"all layers": {}, "top third": top, "top third, warm cache": {**top, **WARM_CACHE}}
    for trained, chosen in ((SHIPPED, {}), ("P=64", LONG_PROMPT)):
        for where, placed in places.items():
            for precision, changes in precisions.items():
                loop = SpacyLoop(prompt_config(corpus, backbone, {**chosen, **placed, **changes}))
                yield Candidate("spaCy", "ours", f"{trained}, {where}", precision, loop.step)


def torch_candidates(
    batches: Sequence[TorchBatch],
    backbone: str,
    n_tags: int,
    lengths: Sequence[int],
    rank: int,
    attention_dropout: bool,
) -> Iterator[Candidate]:
    """Yield for each precision ours as shipped, what others train beside ours, and the limit."""
    peer = load_frozen(backbone, attention_dropout=attention_dropout).train()
    width = peer.config.hidden_size
    for dtype in PRECISIONS[: 1 + is_fast_in_bfloat16(peer.device)]:
        bfloat16, precision = dtype == "bfloat16", "bf16" if dtype == "bfloat16" else "fp32"
        held = get_backbone(BackboneSource(backbone, dtype=dtype))
        bare = load_frozen(backbone, attention_dropout=False, dtype=held.model.dtype)

        def candidate(who: str, what: str, states: torch.nn.Module | None, precision: str = precision) -> Candidate:
            step = None if states is None else TorchLoop(states, batches, width, n_tags).step
            return Candidate("torch", who, what, precision, step)

        yield candidate("ours", SHIPPED, OurStates(held, AdapterOptions()))
        for length in lengths:
            yield candidate("ours", f"P={length}", OurStates.alone(held, length=length))
            for who, kind in {PEFT: PeftStates, ROWWISE: RowPromptStates}.items():
                states = kind(peer, length=length, bfloat16=bfloat16) if takes_past(peer) else None
                yield candidate(who, f"P={length}", states)
        yield candidate("ours", f"rank {rank}", OurStates.alone(held, rank=rank))
        own = load_frozen(backbone, attention_dropout=attention_dropout).train()
        yield candidate(PEFT, f"rank {rank}", PeftStates(own, rank=rank, bfloat16=bfloat16))
        yield candidate("bare backbone: the limit", "", BareStates(bare))


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
    """Return the rows of the table: ratios to the first candidate, and to PEFT that trains the same as precisely."""
    peft = {(c.trained, c.bfloat16): times.get(number) for number, c in enumerate(candidates) if c.who == PEFT}
    lines = []
    for number, candidate in enumerate(candidates):
        own = times.get(number)
        cells = [
            "takes no past_key_values" if own is None else ratio(times[0], own),
            ratio(peft.get((candidate.trained, candidate.bfloat16)), own),
        ]
        what = ", ".join(part for part in (candidate.who, candidate.trained) if part)
        lines.append((candidate.loop, what, candidate.precision, *cells))
    return lines


def ratio(theirs: Sequence[float] | None, own: Sequence[float] | None) -> str:
    """Return how many times as fast, median and range over the rounds; empty if there is nothing to compare."""
    if theirs is None or own is None or theirs is own:
        return ""
    text: str = spread([a / b for a, b in zip(theirs, own, strict=True)])
    return text


if __name__ == "__main__":
    typer.run(main)
