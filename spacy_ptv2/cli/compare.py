"""``spacy ptv2 compare``: trains adapters, their parts and full fine-tuning from one config, and prints a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from wasabi import msg

from ..comparison.methods import METHODS, PLAIN
from ..errors import Errors, PTuningError
from .messages import fail
from .training_config import CodePath, ConfigPath, GpuId, read_training_config

if TYPE_CHECKING:
    from ..comparison.outcome import Job, Outcome

COMMON = ",".join(method for method in METHODS if method != PLAIN)


def compare_cli(
    ctx: typer.Context,
    config_path: ConfigPath,
    output: Annotated[Path, typer.Argument(help="The folder for comparison.md and a folder per run.")],
    test: Annotated[
        list[Path] | None,
        typer.Option("--test", "-t", help="A .spacy file to score the best pipeline of each run on; may be repeated."),
    ] = None,
    methods: Annotated[str, typer.Option("--methods", "-m", help="Which methods, with commas.")] = COMMON,
    seeds: Annotated[str, typer.Option("--seeds", help="With commas; the first one chooses the rate.")] = "0,1,2",
    rates: Annotated[str, typer.Option("--rates", help="Learning rates of full fine-tuning.")] = "5e-5,1e-4,2e-4",
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="How many runs at a time.", min=1)] = 1,
    code: CodePath = None,
    use_gpu: GpuId = -1,
) -> None:
    """Compare head alone, prompt of the first layer, deep prompts, LoRA, both, and full fine-tuning, from one config.

    All methods train with the same data, steps, batches and heads. An interrupted comparison continues where it was.
    Settings can be overridden as in `spacy train`, for example --corpora.train.limit 2000.
    """
    from ..comparison.runs import Comparison, compare

    config = read_training_config(ctx, config_path, code, use_gpu)
    try:
        comparison = Comparison(
            config,
            methods.split(","),
            _numbers(seeds, int),
            _numbers(rates, float),
            tests=tuple(map(str, test or ())),
            gpu_id=use_gpu,
            code=None if code is None else str(code),
        )
        finished = compare(comparison, output, jobs=jobs, report=_print_run)
    except PTuningError as error:
        fail("Cannot compare", str(error))
    _show(finished, output)


def _show(finished: Mapping[str, Sequence[Job]], output: Path) -> None:
    from ..comparison.outcome import Outcome
    from ..comparison.table import ALIGNS, HEADER, markdown, rows_of

    rows = rows_of({name: [(j, Outcome.from_disk(output / j.name)) for j in own] for name, own in finished.items()})
    (output / "comparison.md").write_text(markdown(rows), encoding="utf8")
    msg.table(rows, header=HEADER, divider=True, aligns=ALIGNS)
    msg.good(f"Saved as {output / 'comparison.md'}; a log, config and pipeline per run in {output}")


def _numbers(text: str, kind: type) -> list:  # type: ignore[type-arg]
    try:
        return [kind(number) for number in text.split(",")]
    except ValueError:
        raise PTuningError(Errors.P773.format(got=text)) from None


def _print_run(job: Job, outcome: Outcome, was_there: bool) -> None:
    test = f", test {' '.join(f'{score:.4f}' for score in outcome.tests)}" if outcome.tests else ""
    when = "finished before" if was_there else f"{outcome.n_steps} steps in {outcome.seconds:.0f} s"
    msg.info(f"{job.name}: dev {outcome.dev:.4f}{test} ({when})")
