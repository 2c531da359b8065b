"""``spacy ptv2 calibrate``: fits the temperature of a pipeline's confidences to texts like those that it will read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from spacy.cli._util import setup_gpu
from wasabi import msg

from ..errors import DiskError, Errors
from .evaluate import read_examples
from .messages import fail
from .training_config import GpuId

if TYPE_CHECKING:
    from ..pipeline.temperature import Judged


def calibrate_cli(
    model: Annotated[str, typer.Argument(help="The name of an installed pipeline, or its folder.")],
    data_path: Annotated[Path, typer.Argument(help="Gold data in .spacy format.", exists=True)],
    output: Annotated[Path, typer.Argument(help="The pipeline folder to write; it may be that of the pipeline.")],
    use_gpu: GpuId = -1,
) -> None:
    """Fit the temperature of confidences to gold data, and save the pipeline with it.

    Every second Doc is fitted on. The error of confidences before and after is that on the other ones.
    """
    import spacy

    from ..pipeline.temperature import heads_of, judge
    from ..training.fit_temperature import MIN_ENTITIES, fit_heads, fitted_half, other_half
    from ..writing import replacing_folder

    setup_gpu(use_gpu)
    nlp = spacy.load(model)
    heads, examples = heads_of(nlp), read_examples(nlp, data_path)
    if not heads:
        fail(f"Cannot calibrate {model}", Errors.P849.format(got=", ".join(nlp.pipe_names)))
    before = {name: head.cfg["temperature"] for name, head in heads.items()}
    left = fit_heads(nlp, heads, fitted_half(examples), MIN_ENTITIES)
    if set(left) == set(heads):
        got = ", ".join(f"{n} for {name}" for name, n in left.items())
        fail(f"Cannot calibrate {model}", Errors.P858.format(path=data_path, got=got, least=MIN_ENTITIES))
    judged = judge(nlp, heads, other_half(examples))
    fitted = {name: head.cfg["temperature"] for name, head in heads.items() if name not in left}
    rows = [_row(name, judged[name], before[name], after) for name, after in fitted.items()]
    header = ("component", "entities", "temperature", "error before", "after")
    msg.table(rows, header=header, aligns=("l", "r", "r", "r", "r"))
    try:
        with replacing_folder(output) as new:
            nlp.to_disk(new)
    except DiskError as error:
        fail(f"Cannot save {output}", str(error))
    msg.good(f"Saved the pipeline to {output}")


def _row(name: str, judged: Judged, before: float, after: float) -> tuple[str, ...]:
    """Return a line of the table: expected calibration errors at two temperatures, "-" where nothing was found."""
    from ..reports.calibration import calibrate

    measured = [calibrate(zip(judged.confidences(at), judged.right > 0, strict=True)) for at in (before, after)]
    errors = ["-" if one is None else f"{one.error:.4f}" for one in measured]
    return name, str(len(judged.right)), f"{before:g} -> {after:g}", *errors
