"""``spacy ptv2 calibrate``: fits confidences, and the outside bias, to texts like those that a pipeline will read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    outside_bias: Annotated[
        bool, typer.Option("--outside-bias", help="Also fit how readily entities are found, for the best F1.")
    ] = False,
    use_gpu: GpuId = -1,
) -> None:
    """Fit the temperature of confidences to gold data, and save the pipeline with it.

    Every second Doc is fitted on. The error of confidences and F1, before and after, are those on the other ones.
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
    before = {name: dict(head.cfg) for name, head in heads.items()}
    left = fit_heads(nlp, heads, fitted_half(examples), MIN_ENTITIES, outside_bias=outside_bias)
    if set(left) == set(heads):
        got = ", ".join(f"{n} for {name}" for name, n in left.items())
        fail(f"Cannot calibrate {model}", Errors.P858.format(path=data_path, got=got, least=MIN_ENTITIES))
    judged = judge(nlp, heads, other_half(examples))
    rows = [_row(name, judged[name], before[name], heads[name].cfg) for name in heads if name not in left]
    header = ("component", "entities", "temperature", "error before", "after", "outside bias", "F1 before", "after")
    msg.table(rows, header=header, aligns=("l", *"r" * (len(header) - 1)))
    try:
        with replacing_folder(output) as new:
            nlp.to_disk(new)
    except DiskError as error:
        fail(f"Cannot save {output}", str(error))
    msg.good(f"Saved the pipeline to {output}")


def _row(name: str, judged: Judged, before: dict[str, Any], after: dict[str, Any]) -> tuple[str, ...]:
    """Return a line of the table: expected calibration errors, "-" where nothing was found, and F1.

    judged (Judged): With the outside bias after. before, after (dict[str, Any]): Settings.
    """
    from ..reports.calibration import calibrate

    as_it_was = judged.at(before["outside_bias"] - after["outside_bias"])
    pairs = [(as_it_was, before), (judged, after)]
    measured = [calibrate(zip(own.confidences(at["temperature"]), own.right > 0, strict=True)) for own, at in pairs]
    errors = ["-" if one is None else f"{one.error:.4f}" for one in measured]
    temperature, bias = (f"{before[field]:g} -> {after[field]:g}" for field in ("temperature", "outside_bias"))
    return name, str(len(judged.right)), temperature, *errors, bias, *(f"{own.f1:.4f}" for own, _ in pairs)
