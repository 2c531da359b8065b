"""Full fine-tuning of the backbone, for comparison: every weight trains, by AdamW, with the config's schedule.

In: a pipeline whose config was changed by the method "full" (`methods.py`). Heads, scalar mix and word shape train as
they do with an adapter; the averages of all weights are scored, if the config keeps averages.
Source: Devlin et al. 2019, appendix A.3 (AdamW, weight decay 0.01 but not on biases and norms),
https://arxiv.org/abs/1810.04805.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from spacy.language import Language
from torch import nn

from ..optimizers.averaging import averaging_share
from ..optimizers.base import StepOptimizer
from ..serialization.models import adapter_shims
from ..training.trainer import Trainer

DECAY, MAX_NORM = 0.01, 1.0
UNDECAYED = ("bias", "norm")  # in names of parameters, as is common
UNUSED = "pooler"  # no head of ours reads it
WEIGHTS = "backbone.safetensors"


class FullFineTuning(Trainer):
    """A pipeline in which the backbones train, too.

    A backbone is shared by all pipelines of a process, so what this trains, all of them have: make the pipeline within
    `own_backbones`.

    nlp, settings: See `Trainer`. rate (float): The peak learning rate of the backbone.
    """

    def __init__(self, nlp: Language, settings: dict[str, Any], rate: float) -> None:
        self.weights = _unfreeze(nlp)
        super().__init__(nlp, settings)
        parts: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for name, parameter in self.weights.items():
            parts[any(part in name.lower() for part in UNDECAYED)].append(parameter)
        groups = [
            {"params": parts[False], "weight_decay": DECAY},
            {"params": parts[True], "weight_decay": 0.0},
        ]
        self._peak = rate
        self._adamw = torch.optim.AdamW(groups, lr=rate, fused=True)
        self._n_steps = 0
        keeps_averages = self.optimizer.averages is not None
        self._averages = {n: p.detach().clone() for n, p in self.weights.items()} if keeps_averages else {}

    def step(self) -> None:
        """Let both optimizers step, at the same point of one schedule."""
        rate = self._peak * (self.optimizer.factor if isinstance(self.optimizer, StepOptimizer) else 1.0)
        super().step()
        for group in self._adamw.param_groups:
            group["lr"] = rate
        nn.utils.clip_grad_norm_([p for p in self.weights.values() if p.grad is not None], MAX_NORM)
        self._adamw.step()
        self._adamw.zero_grad()
        self._n_steps += 1
        for name, average in self._averages.items():
            average.lerp_(self.weights[name].detach(), averaging_share(self._n_steps))

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """See `Trainer.averaged`; also for the backbones' weights."""
        self._swap()
        try:
            with super().averaged():
                yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, average in self._averages.items():
            held = self.weights[name].clone()
            self.weights[name].copy_(average)
            average.copy_(held)

    def save(self, folder: Path, *, is_best: bool) -> None:
        """See `Trainer.save`; the best pipeline gets a file with the backbones' weights in addition."""
        super().save(folder, is_best=is_best)
        if is_best:
            with self.averaged():
                save_file({n: p.detach().contiguous() for n, p in self.weights.items()}, self._file(folder))

    def restore_best(self, folder: Path) -> None:
        """See `Trainer.restore_best`; also the backbones' weights."""
        super().restore_best(folder)
        with torch.no_grad():
            for name, saved in load_file(self._file(folder)).items():
                self.weights[name].copy_(saved)

    def _file(self, folder: Path) -> Path:
        return self.best_of(folder) / WEIGHTS


def _unfreeze(nlp: Language) -> dict[str, nn.Parameter]:
    """Let all backbones of a pipeline train. RETURNS: Their weights by name, but those that nothing reads."""
    shims = [shim for _, pipe in nlp.pipeline for shim in adapter_shims(getattr(pipe, "model", None))]
    models = {id(shim.backbone): shim.backbone.model for shim in shims}
    named = {
        f"{number}.{name}": parameter
        for number, model in enumerate(models.values())
        for name, parameter in model.named_parameters()
        if UNUSED not in name
    }
    for parameter in named.values():
        parameter.requires_grad_()
    return named
