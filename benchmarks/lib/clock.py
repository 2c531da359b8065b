"""A callback for `[training] before_update` that keeps the time of `spacy train --code benchmarks/lib/clock.py`.

Writes a JSON file at the start of every step but the first: the seconds since the start of the second, and with
`profile` those of them in the forward pass of a transformer of transformers and in torch's backward pass. The first
step, which spaCy evaluates, is left out; the last one is, too.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from spacy.language import Language
from spacy.util import registry
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from transformers.modeling_utils import PreTrainedModel


class Stopwatch:
    """Adds up the time between `start` and `stop`; of nested pairs the outermost counts."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0
        self._started = 0.0

    def start(self) -> None:
        """Begin, unless it runs."""
        self._depth += 1
        if self._depth == 1:
            self._started = time.perf_counter()

    def stop(self) -> None:
        """End what the matching `start` began."""
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._started


def watch_backbones() -> dict[str, Stopwatch]:
    """Let stopwatches run in every forward pass of a transformer and in every backward pass from now on."""
    forward, backward = Stopwatch(), Stopwatch()
    run_backward = torch.autograd.backward

    def timed_backward(*args: Any, **kwargs: Any) -> None:
        backward.start()
        try:
            run_backward(*args, **kwargs)
        finally:
            backward.stop()

    def before(module: torch.nn.Module, _: Any) -> None:
        if isinstance(module, PreTrainedModel):
            forward.start()

    def behind(module: torch.nn.Module, _: Any, __: Any) -> None:
        if isinstance(module, PreTrainedModel):
            forward.stop()

    register_module_forward_pre_hook(before)
    register_module_forward_hook(behind)
    torch.autograd.backward = timed_backward
    return {"forward": forward, "backward": backward}


@registry.callbacks("benchmarks.clock.v1")  # type: ignore[untyped-decorator]
def build_clock_v1(path: str, profile: bool = False) -> Callable[[Language, dict[str, Any]], None]:
    """Build the callback. path (str): The JSON file. profile (bool): Look into the steps."""
    start = 0.0
    watches: dict[str, Stopwatch] = {}

    def note(nlp: Language, progress: dict[str, Any]) -> None:
        nonlocal start
        step = progress["step"]
        if step == 1:
            watches.update(watch_backbones() if profile else {})
            start = time.perf_counter()
        elif step > 1 and os.environ.get("RANK", "0") == "0":  # of several processes the first one
            seconds = {name: watch.seconds for name, watch in watches.items()}
            entry = {"steps": step - 1, "all": time.perf_counter() - start, **seconds}
            Path(path).write_text(json.dumps(entry), encoding="utf8")

    return note
