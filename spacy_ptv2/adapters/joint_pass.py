"""Runs several adapters over one backbone in one pass; one adapter is the simplest case.

In: encoders of one backbone, and batches of windows with the rows that each encoder reads. Out: for each encoder the
hidden states that it wants. The layers below the first one that any encoder changes run once per window. The others run
once per window and encoder, as one batch with a prompt per row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from ..backbones.model_config import call_model
from ..engines.engine import get_engine
from ..engines.graph_inputs import GraphInputs
from ..injection.checkpointing import checkpointed
from ..injection.context import LayerPrompts, RowGroup, injected
from ..injection.dropout import drawing_from
from ..injection.folded import FoldedLoRA
from ..injection.stages import Stage
from ..kernels.forks import settle_after_fork
from .batches import PieceBatch, WindowBatches
from .common_layers import recall_common, run_common
from .encoder import AdaptedEncoder


def read_jointly(encoders: Sequence[AdaptedEncoder], windows: WindowBatches) -> list[torch.Tensor]:
    """Return the hidden states that each encoder wants, in its order. All encoders have the same `pass_settings`.

    RETURNS (list[Tensor]): In float32. Shape of each: (sum of its n_wanted, hidden_width)
    """
    settle_after_fork()
    by_encoder = read_batches(encoders, windows.batches)
    return [
        states.index_select(0, order.to(states.device))
        for states, order in zip(by_encoder, windows.orders, strict=True)
    ]


def read_batches(encoders: Sequence[AdaptedEncoder], batches: Sequence[PieceBatch]) -> list[torch.Tensor]:
    """Return the wanted hidden states for each encoder, batch after batch. Shapes: As in `read_jointly`."""
    leader = encoders[0]
    device = leader.backbone.device
    seeds = [encoder.begin_pass() for encoder in encoders if encoder.training]
    with drawing_from(seeds[0], device) if seeds else nullcontext():  # some models draw numbers without effect (T5)
        prompts = [encoder.draw_prompts() for encoder in encoders]
        by_batch = [_read_present(encoders, prompts, batch.to(device)) for batch in batches]
    return [torch.cat(states) for states in zip(*by_batch, strict=True)]


def _read_present(
    encoders: Sequence[AdaptedEncoder], prompts: Sequence[Callable[[int], LayerPrompts]], batch: PieceBatch
) -> list[torch.Tensor]:
    """Read a batch with those encoders that want any of it: of many, few do. In training all draw numbers for it."""
    first = min(encoder.first_layer for encoder in encoders)
    present = [number for number, reading in enumerate(batch.readings) if len(reading.rows)]
    if encoders[0].training or len(present) < 2 or len(present) == len(encoders):
        return _read_batch(encoders, prompts, batch, first)
    own = replace(batch, readings=[batch.readings[number] for number in present])
    read = _read_batch([encoders[n] for n in present], [prompts[n] for n in present], own, first)
    by_encoder = [states.new_zeros(0, states.shape[-1]) for states in read[:1] * len(encoders)]
    for number, states in zip(present, read, strict=True):
        by_encoder[number] = states
    return by_encoder


def _read_batch(
    encoders: Sequence[AdaptedEncoder],
    prompts: Sequence[Callable[[int], LayerPrompts]],
    batch: PieceBatch,
    first: int,
) -> list[torch.Tensor]:
    """Return the wanted hidden states for each encoder. first (int): The first layer that any of the pass changes."""
    leader = encoders[0]
    embeddings = leader.backbone.embed(batch.ids)
    if batch.types is not None:
        embeddings = leader.backbone.with_types(embeddings, batch.types)
    inputs = [
        _inputs_of(encoder, prompt_for(len(reading.rows)), batch, embeddings, reading.rows)
        for encoder, prompt_for, reading in zip(encoders, prompts, batch.readings, strict=True)
    ]
    folded = _find_folded(encoders)
    if folded is not None:
        inputs = [replace(own, loras={}, folded=folded) for own in inputs]
    by_encoder = _run_in_engine(encoders, inputs) if len(encoders) == 1 or first == 0 else None
    if by_encoder is None:
        rows = torch.cat([reading.rows for reading in batch.readings])
        stage = _common_stage(leader, embeddings, batch, rows, first) if first > 0 else None
        by_encoder = _run_in_torch(encoders, inputs, stage)
    return [
        encoder.read(own, reading.wanted)
        for encoder, own, reading in zip(encoders, by_encoder, batch.readings, strict=True)
    ]


def _inputs_of(
    encoder: AdaptedEncoder, prompt: LayerPrompts, batch: PieceBatch, embeddings: torch.Tensor, rows: torch.Tensor
) -> GraphInputs:
    return encoder.inputs_of(prompt, embeddings[rows], batch.mask[rows], batch.word_shape[rows])


def _find_folded(encoders: Sequence[AdaptedEncoder]) -> FoldedLoRA | None:
    """Return the LoRA to fold of an encoder that predicts alone; None if it is beside the weights as in training."""
    if len(encoders) > 1 or encoders[0].training or torch.is_grad_enabled():
        return None
    return encoders[0].folded()


def _run_in_engine(
    encoders: Sequence[AdaptedEncoder], inputs: Sequence[GraphInputs]
) -> list[Sequence[torch.Tensor]] | None:
    """Return the hidden states that each encoder reads, one encoder at a time; None if no engine can do it.

    Engines have no gradients.
    """
    leader = encoders[0]
    in_torch = leader.training or torch.is_grad_enabled()
    engine = None if in_torch else get_engine(leader.backbone, leader.runtime.engine)
    if engine is None:
        return None
    by_encoder: list[Sequence[torch.Tensor]] = []
    for encoder, own in zip(encoders, inputs, strict=True):
        all_states = encoder.scalar_mix is not None
        states: Sequence[torch.Tensor] | None
        if len(own.mask):
            patient = leader.runtime.engine == "auto"
            states = engine.run(leader.backbone, own, encoder.graph_form(own.folded), patient=patient)
        else:  # the encoder reads nothing of this batch
            nothing = own.embeddings.new_zeros(*own.mask.shape, leader.backbone.hidden_width, dtype=torch.float32)
            states = [nothing] * (leader.backbone.n_layers + 1 if all_states else 1)
        if states is None:
            return None
        by_encoder.append(states)
    if (folding := leader.folding) is not None:
        folding.release()
    return by_encoder


def _run_in_torch(
    encoders: Sequence[AdaptedEncoder], inputs: Sequence[GraphInputs], stage: Stage | None
) -> list[Sequence[torch.Tensor]]:
    """Return the hidden states that each encoder reads, all computed in one pass."""
    leader = encoders[0]
    sizes = [len(own.mask) for own in inputs]
    groups = [
        RowGroup(own.prompts, size, own.added, encoder.draws(), own.loras, encoder.linears(own.folded))
        for encoder, own, size in zip(encoders, inputs, sizes, strict=True)
    ]
    embeddings, mask = (
        torch.cat(tensors) for tensors in zip(*((own.embeddings, own.mask) for own in inputs), strict=True)
    )
    inside = partial(_inside, leader, groups, stage)
    with inside(), checkpointed(inside) if leader.runtime.gradient_checkpointing else nullcontext():
        mixes = any(encoder.scalar_mix is not None for encoder in encoders)
        states = _run(leader, leader.model, embeddings, mask, mixes=mixes)
    by_encoder = zip(*(state.split(sizes) for state in states), strict=True)
    return [
        own[-1:] if encoder.scalar_mix is None else own[:-1] for encoder, own in zip(encoders, by_encoder, strict=True)
    ]


def _common_stage(
    leader: AdaptedEncoder, embeddings: torch.Tensor, batch: PieceBatch, rows: torch.Tensor, first: int
) -> Stage | None:
    """Return the stage for the layers from `first` on, None if the layers below it would run once per row anyway."""

    def run(stage: Stage, some: torch.Tensor) -> None:
        with torch.no_grad(), _inside(leader, (), stage):
            _run(leader, leader.backbone.model, embeddings[some], batch.mask[some], mixes=False)

    if leader.training and leader.hidden_state_cache is not None:
        settings = f"{embeddings.dtype} {leader.autocast} {leader.shift}"
        return recall_common(run, batch, rows, first, leader.hidden_state_cache, settings)
    return run_common(run, batch, rows, first) if len(rows) > len(batch.ids) else None


def _run(
    leader: AdaptedEncoder, model: Any, embeddings: torch.Tensor, mask: torch.Tensor, *, mixes: bool
) -> Sequence[torch.Tensor]:
    """Return the last hidden states, with `mixes` after those of all layers. Shape of each: (rows, pieces, width)"""
    inputs = {"inputs_embeds": embeddings}
    if leader.shift_positions:
        inputs = leader.backbone.rule.shifted_inputs(model, embeddings, leader.prompt.longest)
    with leader.autocasting():
        output = call_model(model, **inputs, attention_mask=mask, all_states=mixes)
    return (*(output.hidden_states or ()), output.last_hidden_state)


@contextmanager
def _inside(leader: AdaptedEncoder, groups: Sequence[RowGroup], stage: Stage | None) -> Iterator[None]:
    """Set up what a layer's forward pass depends on besides its input; entered again when it is recomputed."""
    with injected(*groups, stage=stage, plain_attention=leader.plain_attention):
        yield
