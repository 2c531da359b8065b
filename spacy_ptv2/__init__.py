"""P-Tuning v2 for spaCy: one frozen pretrained transformer, a megabyte of trained adapter per task.

The flow, from a config to annotations; each step is a folder or a file here:

    architectures.py   what a config may name, built from the plain settings in `options.py`
    pipeline/          components: `ptuning_transformer` for vectors, `token_classifier` for entities, `shared_backbone`
                       for the adapters of several components in one pass
    layers/            Thinc layers: Docs in, vectors out
    alignment/         Docs to sequences, pieces, windows and batches, and pieces back to tokens
    bridge/            where Thinc meets torch: the shim that trains and saves an adapter, training passes
    adapters/          what trains inside the backbone: prompt, LoRA, scalar mix, word shape
    engines/           the backbone in prediction, compiled as one graph that takes any adapter
    backbones/         the frozen model: where it is, its identity, one shared copy per process
    injection/         inside the frozen model: how an adapter joins its layers; one file per model family
    kernels/           code for one processor, with the measurement that chose it

In addition: `serialization/` (saved tensors), `packaging/` (wheels, and what checks them), `optimizers/` (what steps
trained tensors), `training/` (the loop, planning, trials, the range test), `comparison/` (a config against full
fine-tuning), `reports/` (trainings and corpora as pages), `serving/` (many tasks in one process), `demo/` (a page over
them), `corpora/` (readers), `interchange/` (adapters of other libraries), `migration/` (configs of other packages),
`cli/` (`spacy ptv2`), `shipped.py` (the shipped configs), `errors.py` (every message).
Source: Liu et al. 2021, "P-Tuning v2", https://arxiv.org/abs/2110.07602.

spaCy finds everything through entry points. This module is imported whenever spaCy starts, so it loads neither torch
nor transformers.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from .backbones.lookup import find_backbone
from .backbones.source import BackboneSource
from .errors import BackboneError, CorpusError, FormatError, PTuningError
from .options import AdapterOptions, NormalStart, PromptOptions, RuntimeOptions, WindowOptions, WordStart

if TYPE_CHECKING:
    from .packaging.hub import load
    from .training.in_python import train

__version__ = version("spacy-ptv2")

__all__ = [
    "AdapterOptions",
    "BackboneError",
    "BackboneSource",
    "CorpusError",
    "FormatError",
    "NormalStart",
    "PTuningError",
    "PromptOptions",
    "RuntimeOptions",
    "WindowOptions",
    "WordStart",
    "__version__",
    "find_backbone",
    "load",
    "train",
]


def __getattr__(name: str) -> Any:
    """Load `train` and `load` when they are asked for, and torch with them."""
    if name == "load":
        from .packaging.hub import load

        return load
    if name == "train":
        from .training.in_python import train

        return train
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
