"""P-Tuning v2 for spaCy: one frozen pretrained transformer, a megabyte of trained prompt per task.

The flow, from a config to annotations; each step is a folder or file here:

    architectures.py   what a config may name, as plain `options.py`
    pipeline/          components: `ptuning_transformer` for vectors, `token_classifier` for entities, `shared_backbone`
                       for the prompts of several components in one pass
    layers/            Thinc layers that join spaCy's arrays and torch
    alignment/         Docs to pieces to windows, and pieces back to tokens
    adapters/     the prompt and the encoder around it
    backbones/         the frozen model: where it is, its identity, one shared copy, injection into its attention
    engines/           the same model in prediction, compiled as one graph that every task feeds its prompt

Beside it: `serialization/tensors.py` (safetensors of what was trained), `packaging/` (wheels, and what checks them),
`optimizers/` (what steps prompts, and schedules), `training/` (planning, the curve, trials, the range test),
`serving/` (a bank of prompts for services), `corpora/` (readers), `interchange/` (adapters of other libraries), `cli/`
(`spacy ptv2`), `errors.py` (every message).
Source: Liu et al. 2021, "P-Tuning v2", https://arxiv.org/abs/2110.07602.

spaCy finds everything through entry points. This module is imported at every start of spaCy, so it loads neither
torch nor transformers.
"""

from importlib.metadata import version

from .backbones.lookup import find_backbone
from .backbones.source import BackboneSource
from .errors import BackboneError, CorpusError, FormatError, PTuningError
from .options import AdapterOptions, NormalStart, PromptOptions, RuntimeOptions, WindowOptions, WordStart

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
]
