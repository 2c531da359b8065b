"""Starts adapters from one that was trained before, as the paper's multi-task prompts do.

In: a pipeline that was just initialised, and a trained one. Out: the same pipeline, the adapters of which have the
trained one's tensors. Heads start afresh. A part whose learning rate is 0 then stays as it was trained.
Source: Liu et al. 2021, section 3.3 ("Multi-task Learning"), https://arxiv.org/abs/2110.07602.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import spacy
from spacy.language import Language

from ..errors import Errors, PTuningError
from ..parameter_groups import ADAPTER_PARTS

if TYPE_CHECKING:
    from ..bridge.adapter_shim import AdapterShim


def build_init_adapter_v1(
    source: str | Path, component: str | None = None, parts: list[str] | None = None
) -> Callable[[Language], None]:
    """Build the callback for ``[initialize.after_init]``.

    source (str | Path): A trained pipeline: its folder, or the name of its package.
    component (str | None): Which of its components has the adapter; None if only one has.
    parts (list[str] | None): What is taken over, of prompt, lora, scalar_mix, word_shape; None for all that both have.
    RETURNS (Callable[[Language], None]): Sets the parts in every adapter of the pipeline. Does nothing in a pipeline
        that was loaded: `nlp.initialize` does not come from a training there.
    RAISES (PTuningError): P775 for unknown parts. On use: P774 if the source does not have exactly one such adapter,
        P777 if it is of another backbone, P776 if one of the two adapters lacks a part, P778 if only one of prompt and
        LoRA is taken over from other layers.
    """
    if unknown := set(parts or ()) - set(ADAPTER_PARTS):
        raise PTuningError(Errors.P775.format(expected=", ".join(ADAPTER_PARTS), got=", ".join(sorted(unknown))))

    def init_adapter(nlp: Language) -> None:
        if nlp.path is not None:
            return
        from ..bridge.take_over import take_over
        from ..serialization.models import adapter_shims

        trained = _adapter_of(source, component)
        for _, pipe in nlp.components:
            for shim in adapter_shims(getattr(pipe, "model", None)):
                take_over(shim, trained, parts, str(source))

    return init_adapter


def _adapter_of(source: str | Path, component: str | None) -> "AdapterShim":
    """Return the adapter of a saved pipeline."""
    from ..serialization.models import adapter_shims

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about its other components
        nlp = spacy.load(source)
    found = {name: shims[0] for name, pipe in nlp.components if (shims := adapter_shims(getattr(pipe, "model", None)))}
    if component is not None:
        found = {name: shim for name, shim in found.items() if name == component}
    if len(found) != 1:
        names = ", ".join(found) or "none"
        raise PTuningError(Errors.P774.format(source=source, component=component, got=names, all=nlp.pipe_names))
    (shim,) = found.values()
    return shim
