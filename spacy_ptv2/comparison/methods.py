"""The methods that are compared. Each is a change to one config; everything else stays as the config has it.

In: a training config. Out: a copy in which another part of the model trains. Data, steps, batches and head are the same
for all methods, scalar mix and word shape for all but the last, which is what fine-tuning commonly is.
Sources: Liu et al. 2021, sections 3.1 and 4 (prompts in all layers and in the first alone, fine-tuning),
https://arxiv.org/abs/2110.07602; Hu et al. 2021 (LoRA), https://arxiv.org/abs/2106.09685.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from thinc.api import Config

from ..errors import Errors, PTuningError
from ..migration.blocks import walk
from ..options import AdapterOptions, PromptOptions

ENCODERS = ("spacy_ptv2.Tok2VecPTuning.v1", "spacy_ptv2.SequenceEncoder.v1", "spacy_ptv2.TransformerModel.v1")
OPTIONS = {
    "adapter": "spacy_ptv2.Adapter.v1",
    "backbone": "spacy_ptv2.Backbone.v1",
    "prompt": "spacy_ptv2.Prompt.v1",
    "runtime": "spacy_ptv2.Runtime.v1",
}
# A prompt that trains alone needs more positions and higher rates than one with LoRA (docs/experiments/recipes.md).
LONG_PROMPT = 64
RATES_OF_PROMPTS = {"prompt": 0.03, "word_shape": 0.005, "head": 0.005}
FULL, PLAIN = "full", "full-plain"


@dataclass(frozen=True)
class Method:
    """What trains.

    label (str): In a table. change (Callable): Changes a config in place.
    is_full (bool): The backbone's weights train, at one of several learning rates.
    """

    label: str
    change: Callable[[Config], None]
    is_full: bool = False


def apply(method: str, config: Config) -> Config:
    """Return a copy of a config in which this method's part of the model trains.

    method (str): A name in `METHODS`. config (Config): Interpolated, or with no variable in place of a block.
    RAISES (PTuningError): P770 if the config has no encoder of ours, P771 for an unknown method.
    """
    if method not in METHODS:
        raise PTuningError(Errors.P771.format(got=method, expected=", ".join(METHODS)))
    changed = config.copy()
    if not any(_encoders(changed)):
        raise PTuningError(Errors.P770.format(expected=", ".join(ENCODERS)))
    METHODS[method].change(changed)
    return changed


def _encoders(config: Config) -> Iterator[dict[str, Any]]:
    """Find the blocks of encoders with an adapter."""
    blocks = walk(config.get("components", {}))
    return (block for _, block in blocks if block.get("@architectures") in ENCODERS)


def _blocks(config: Config, place: str) -> Iterator[dict[str, Any]]:
    """Return one block of each encoder, added where it is missing. place (str): Names of nested blocks, with dots."""
    for encoder in _encoders(config):
        block = encoder
        for name in place.split("."):
            if not block.get(name):
                block[name] = {"@misc": OPTIONS[name]}
            block = block[name]
        yield block


def _set(config: Config, place: str, **values: Any) -> None:
    """Set values in one block of all encoders."""
    for block in _blocks(config, place):
        block.update(values)


def _keep(config: Config, place: str, name: str, default: Any) -> None:
    """Set a number to its default in one block of all encoders where it is 0."""
    for block in _blocks(config, place):
        if not block.get(name, default):
            block[name] = default


def _train_head_alone(config: Config) -> None:
    _set(config, "adapter", lora_rank=0)
    _set(config, "adapter.prompt", length=0)


def _train_prompt_alone(config: Config) -> None:
    _set(config, "adapter", lora_rank=0)
    _set(config, "adapter.prompt", length=LONG_PROMPT)
    rates = config["training"]["optimizer"].get("learn_rates")
    if rates is not None:
        rates.update(RATES_OF_PROMPTS)


def _train_prompt_of_first_layer(config: Config) -> None:
    _train_prompt_alone(config)
    _set(config, "adapter.prompt", layers=[0])


def _train_lora_alone(config: Config) -> None:
    _keep(config, "adapter", "lora_rank", AdapterOptions.lora_rank)
    _set(config, "adapter.prompt", length=0)


def _train_prompt_and_lora(config: Config) -> None:
    _keep(config, "adapter", "lora_rank", AdapterOptions.lora_rank)
    _keep(config, "adapter.prompt", "length", PromptOptions.length)


def _train_everything(config: Config) -> None:
    _train_head_alone(config)
    # Fine-tuned weights change in every step: in full precision, and not in an engine that converted them once.
    _set(config, "backbone", dtype="float32")
    _set(config, "runtime", engine="torch", attention_dropout=True)
    optimizer = config["training"]["optimizer"]
    if optimizer.get("restarts"):  # they would take back the heads' steps and not those of the backbone
        optimizer["restarts"] = 0


def _train_everything_under_heads_alone(config: Config) -> None:
    _train_everything(config)
    _set(config, "adapter", scalar_mix=False, word_shape=False)
    callback = config["training"].get("before_to_disk") or {}
    if "outside_bias" in callback:
        callback["outside_bias"] = False


METHODS: dict[str, Method] = {
    "probe": Method("head alone (probe)", _train_head_alone),
    "input-prompt": Method("prompt of the first layer alone (P-tuning v1)", _train_prompt_of_first_layer),
    "prompt": Method("deep prompts", _train_prompt_alone),
    "lora": Method("LoRA", _train_lora_alone),
    "prompt+lora": Method("deep prompts + LoRA", _train_prompt_and_lora),
    FULL: Method("full fine-tuning", _train_everything, is_full=True),
    PLAIN: Method(
        "full fine-tuning without scalar mix, word shape and outside bias",
        _train_everything_under_heads_alone,
        is_full=True,
    ),
}
