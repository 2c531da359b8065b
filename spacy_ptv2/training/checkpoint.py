"""A checkpoint: all that a training needs to go on as if it had never been interrupted, in one file.

In: a loop. Out: a safetensors file with the trained tensors, the optimizer's state, random states and the place in the
corpus, written beside the old one and swapped in by a rename; and such a loop, put back there. The backbone is not in
it: the pipeline is initialised again from the same config, which gives the same labels and frozen weights.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from json import JSONDecodeError
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.util import dict_to_dot
from thinc.api import Config

from ..errors import Errors, FormatError, PTuningError
from ..optimizers.parameters import parameters_of_pipeline
from ..optimizers.protocol import load_state, state_of
from ..optimizers.tensors import copy_like, copy_to_numpy, overwrite
from ..reading import parse_json
from ..serialization.models import adapter_shims
from ..serialization.tensors import dump_tensors, load_tensors, read_file
from ..writing import replacing_file
from .progress import LoopState, PipelineState
from .random_state import RandomState, array_of_python, python_of_array
from .trainer import Trainer

CHECKPOINT = "checkpoint.safetensors"
VERSION = 1
WEIGHT, OPTIMIZER, RANDOM, START, SHUFFLES = "weight", "optimizer", "random", "start", "shuffles"
COUNTS = ("n_steps", "epoch", "n_batches", "words", "seconds")
NOT_KEPT = ("checkpoints", "output_path")  # of what a logger is told: the loop adds them again
# Settings that do not change what is trained, but where things are, what is logged, and how much memory it takes.
FREE = ("paths.", "training.logger.", "training.gpu_allocator", "training.accumulate_gradient", "nlp.batch_size")


@dataclass(frozen=True)
class Checkpoint:
    """What `save_checkpoint` wrote. arrays (dict), header (dict): See there. path (Path): Of the file."""

    arrays: dict[str, NDArray[Any]]
    header: dict[str, Any]
    path: Path

    @property
    def n_steps(self) -> int:
        """The steps that were taken."""
        return int(self.header["n_steps"])

    @property
    def is_finished(self) -> bool:
        """Whether the training had ended by itself."""
        return bool(self.header["is_finished"])


def save_checkpoint(path: Path, trainer: Trainer, state: LoopState, config: Config, *, is_finished: bool) -> None:
    """Write a checkpoint of a loop over one pipeline.

    config (Config): What the training was asked for, to be compared with what a resumed one asks for.
    RAISES (DiskError): P810; the last checkpoint is then still there. (PTuningError): P418 for unknown optimizers.
    """
    parameters = parameters_of_pipeline(trainer.nlp)
    of_optimizer, values = state_of(trainer.optimizer, parameters)
    arrays = {f"{WEIGHT}/{p.name}": copy_to_numpy(p.weights) for p in parameters.values()}
    arrays |= {f"{OPTIMIZER}/{name}": array for name, array in of_optimizer.items()}
    random_values = {}
    for name, random_state in ((RANDOM, RandomState.capture()), (START, state.start)):
        if random_state is not None:
            own, random_values[name] = random_state.export()
            arrays |= {f"{name}/{key}": array for key, array in own.items()}
    shuffles = [array_of_python(shuffle) for shuffle in state.shuffles]
    arrays[SHUFFLES] = np.array([words for words, _ in shuffles], dtype=np.uint32)
    header = {
        "version": VERSION,
        "config": config.interpolate().to_str(),
        "identity": _identity(trainer),
        OPTIMIZER: values,
        "random_values": random_values,
        "corpus": state.corpus,
        "shuffled_normals": [normal for _, normal in shuffles],
        "is_finished": is_finished,
        **{count: getattr(state, count) for count in COUNTS},
        **_export_pipeline(trainer.state),
    }
    data = dump_tensors(arrays, header)
    with replacing_file(path) as new:
        new.write_bytes(data)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    RAISES (FormatError): P301-P307 for a damaged file or one that is none; P812 for one of another version.
    """
    return parse_checkpoint(read_file(path), path)


def parse_checkpoint(data: bytes, path: Path) -> Checkpoint:
    """Return the checkpoint in a file's content. RAISES (FormatError): As `read_checkpoint`."""
    arrays, header = load_tensors(data, path)
    if header.get("version") != VERSION:
        written_by = header.get("written_by", "an unknown release")
        message = Errors.P812.format(path=path, got=header.get("version"), expected=VERSION, writer=written_by)
        raise FormatError(message)
    return Checkpoint(arrays, header, path)


def check_config(checkpoint: Checkpoint, config: Config) -> None:
    """Refuse to go on with other settings. RAISES (PTuningError): P813, with each setting that differs."""
    texts = checkpoint.header["config"], config.interpolate().to_str()
    before, now = (what_matters(Config().from_str(text)) for text in texts)
    lines = [
        f"{name}: {_shown(before, name)} before, {_shown(now, name)} now"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if lines:
        raise PTuningError(Errors.P813.format(path=checkpoint.path, differences="; ".join(lines)))


def what_matters(config: Config) -> dict[str, Any]:
    """Return the settings of an interpolated config that decide what is trained, by their dotted names."""
    return {name: value for name, value in dict_to_dot(config).items() if not name.startswith(FREE)}


def restore(checkpoint: Checkpoint, trainer: Trainer, state: LoopState) -> None:
    """Put a loop over one pipeline, newly initialised from the same config, where the checkpoint was written.

    RAISES (PTuningError): P814 if backbones or tensors are others; P415, P416 for the optimizer. (FormatError): P301.
    """
    arrays, header = checkpoint.arrays, checkpoint.header
    try:
        _check_identity(checkpoint, trainer)
        _restore_weights(checkpoint, trainer)
        of_optimizer = _below(arrays, OPTIMIZER), header[OPTIMIZER]
        load_state(trainer.optimizer, parameters_of_pipeline(trainer.nlp), of_optimizer, header["n_steps"])
        for count in COUNTS:
            setattr(state, count, header[count])
        states = {name: RandomState.load(_below(arrays, name), v) for name, v in header["random_values"].items()}
        state.start, state.random, state.corpus = states[START], states[RANDOM], header["corpus"]
        state.random.restore()  # in case there is no batch left to read
        pairs = zip(arrays[SHUFFLES], header["shuffled_normals"], strict=True)
        state.shuffles = [python_of_array(words, normal) for words, normal in pairs]
        _import_pipeline(trainer.state, header)
    except (LookupError, TypeError, AttributeError, JSONDecodeError) as error:
        raise FormatError(Errors.P301.format(path=checkpoint.path, error=repr(error))) from error


def _identity(trainer: Trainer) -> dict[str, Any]:
    """Return what must be as it was: backbones and labels."""
    components = trainer.nlp.components
    backbones = {
        f"backbone {number} of {name}": shim.backbone.recorded.fingerprint
        for name, pipe in components
        for number, shim in enumerate(adapter_shims(getattr(pipe, "model", None)))
    }
    labels = {f"labels of {name}": list(pipe.labels) for name, pipe in components if hasattr(pipe, "labels")}
    return {**backbones, **labels}


def _check_identity(checkpoint: Checkpoint, trainer: Trainer) -> None:
    now = _identity(trainer)
    for name, expected in checkpoint.header["identity"].items():
        if now.get(name) != expected:
            problem = f"the {name} are {now.get(name)}, expected {expected}"
            raise PTuningError(Errors.P814.format(path=checkpoint.path, problem=problem))


def _restore_weights(checkpoint: Checkpoint, trainer: Trainer) -> None:
    saved = _below(checkpoint.arrays, WEIGHT)
    here = {parameter.name: parameter.weights for parameter in parameters_of_pipeline(trainer.nlp).values()}
    for name in sorted(saved.keys() | here.keys()):
        expected, got = (arrays[name].shape if name in arrays else "missing" for arrays in (saved, here))
        if expected != got:
            problem = f"the tensor {name} is {got}, expected {expected}"
            raise PTuningError(Errors.P814.format(path=checkpoint.path, problem=problem))
        overwrite(here[name], copy_like(here[name], saved[name]))


def _below(arrays: Mapping[str, NDArray[Any]], kind: str) -> dict[str, NDArray[Any]]:
    return {name.partition("/")[2]: array for name, array in arrays.items() if name.startswith(f"{kind}/")}


def _export_pipeline(state: PipelineState) -> dict[str, Any]:
    kept = [{key: value for key, value in info.items() if key not in NOT_KEPT} for info in state.reported]
    losses = {name: [float(loss).hex(), _type_of(loss)] for name, loss in state.losses.items()}
    reported = json.dumps(_plain(kept))  # a text, because a header sorts its keys, and the order of scores is saved
    return {"results": state.results, "reported": reported, "losses": losses}


def _import_pipeline(state: PipelineState, header: Mapping[str, Any]) -> None:
    state.results = [(score, step) for score, step in header["results"]]
    state.reported = [{**info, "checkpoints": state.results} for info in parse_json(header["reported"])]
    state.losses = {
        name: float.fromhex(value) if kind == "" else np.dtype(kind).type(float.fromhex(value))
        for name, (value, kind) in header["losses"].items()
    }


def _type_of(loss: Any) -> str:
    """Return the type of a sum that later losses are added to: its sums round as before."""
    return str(loss.dtype) if isinstance(loss, np.generic) else ""


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: numpy's numbers as Python's, and None for what is no number."""
    if isinstance(value, Mapping):
        return {str(key): _plain(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(own) for own in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | type(None)) else str(value)


def _shown(settings: Mapping[str, Any], name: str) -> str:
    value = settings.get(name, "not set")
    return f"{value:.12g}" if isinstance(value, float) else repr(value)
