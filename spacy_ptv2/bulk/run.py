"""Annotates an input in shards: what `spacy ptv2 annotate` does.

In: pipelines, a file or a folder, settings. Out: a folder of shards, of which those that were finished before are
skipped, and a summary. Any number of processes may do so with one output at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import Errors, PTuningError
from .layout import FORMATS, Layout
from .manifest import Manifest, fingerprint_pipeline, planning, read_manifest, state_of, write_manifest
from .parquet_files import check_pyarrow
from .pool import Pool
from .progress import Progress
from .records import Columns
from .shards import Shard, cut_input, find_inputs
from .work import Job, Outcome, Report, annotate_shard


@dataclass(frozen=True)
class Settings:
    """What determines the output in addition to pipelines and input.

    format (str): "jsonl", "parquet" or "spacy". lines (bool): Each line of a .txt file is a document.
    shard_size (int): Documents in a shard.
    """

    format: str = "jsonl"
    columns: Columns = field(default_factory=Columns)
    lines: bool = False
    shard_size: int = 1000

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values


@dataclass(frozen=True)
class Running:
    """How it runs, which changes nothing in the output.

    part (tuple[int, int]): (i, n) for every n-th shard, from the i-th on. workers (int): Processes; 1 for this one.
    gpu_id (int): -1 for the CPU. force (bool): Annotate anew what was made with something else.
    """

    part: tuple[int, int] = (1, 1)
    workers: int = 1
    gpu_id: int = -1
    force: bool = False


@dataclass
class Summary:
    """What there is now. done, finished, busy (int): Shards of this run, of earlier ones, of other processes.

    failed (dict[str, str]): Why, by the names of shards. documents, words, bad (int): Of all that are
    finished. first_bad (str): Why the first bad record is.
    """

    done: int = 0
    finished: int = 0
    busy: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    documents: int = 0
    words: int = 0
    bad: int = 0
    first_bad: str = ""

    def add(self, shard: Shard, outcome: Outcome) -> None:
        """Count a shard."""
        if outcome.state == "failed":
            self.failed[shard.name] = outcome.message
        else:
            setattr(self, outcome.state, getattr(self, outcome.state) + 1)
        if outcome.receipt is not None:
            self.documents += outcome.receipt.documents
            self.words += outcome.receipt.words
            self.bad += outcome.receipt.bad
            self.first_bad = self.first_bad or outcome.receipt.first_bad


def annotate(pipelines: Mapping[str, str], source: Path, output: Path, settings: Settings, running: Running) -> Summary:
    """Annotate what is not finished yet.

    pipelines (Mapping[str, str]): Packages or folders, by the names of their tasks.
    source (Path), output (Path): A file or a folder with the input; a folder for shards.
    RAISES (PTuningError): P613, P792 if a pipeline is missing or cannot be loaded; P810 if the disk is full; P821,
        P822, P825, P826, P828, P830-P832, P834. What keeps a single shard from being annotated is in the summary.
    """
    job, shards = _plan(pipelines, source, output, settings, running)
    first, step = running.part
    own = shards[first - 1 :: step]
    summary, todo = Summary(), []
    for shard in own:
        receipt = job.layout.finished(shard, job.made_of(shard))
        if receipt is None:
            todo.append(shard)
        else:
            summary.add(shard, Outcome("finished", receipt))
    progress = Progress(sum(shard.n_documents for shard in todo), len(todo))
    try:
        for shard, outcome in _run(job, todo, running.workers, progress.add):
            if outcome.is_fatal:
                raise PTuningError(outcome.message)
            summary.add(shard, outcome)
            progress.shards += 1
    finally:
        progress.close()
    return summary


def parse_part(text: str) -> tuple[int, int]:
    """Return what "2/16" says: the second of every sixteen shards. RAISES (PTuningError): P829."""
    number, _, of = text.partition("/")
    if number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of):
        return int(number), int(of)
    raise PTuningError(Errors.P829.format(got=text))


def _plan(
    pipelines: Mapping[str, str], source: Path, output: Path, settings: Settings, running: Running
) -> tuple[Job, list[Shard]]:
    if settings.format not in FORMATS:
        raise PTuningError(Errors.P832.format(got=settings.format, expected=", ".join(FORMATS)))
    for name, least, got in (("--shard-size", 1, settings.shard_size), ("--workers", 1, running.workers)):
        if got < least:
            raise PTuningError(Errors.P834.format(setting=name, least=least, got=got))
    if settings.format == "parquet":
        check_pyarrow()
    source, output = source.resolve(), output.resolve()
    layout = Layout(output, settings.format, tuple(pipelines))
    digests = {name: fingerprint_pipeline(pipeline) for name, pipeline in pipelines.items()}
    with planning(output):
        manifest = Manifest(digests, settings.to_json(), find_inputs(source, output))
        shards = _known_shards(output, manifest, force=running.force)
        if shards is None:
            shards = list(cut_input(source, manifest.files, settings.shard_size, lines=settings.lines))
            _remove_obsolete(layout, manifest, shards)
            write_manifest(output, manifest, shards, pipelines)
        state = state_of(output)
    named = tuple(pipelines.items())
    share = running.workers
    return Job(named, source, layout, settings.columns, manifest.made_with, state, running.gpu_id, share), shards


def _known_shards(output: Path, manifest: Manifest, *, force: bool) -> list[Shard] | None:
    """Return the shards of an earlier run; None if they are to be made. RAISES (PTuningError): P826, P830."""
    known = read_manifest(output)
    if known is None:
        return None
    earlier, shards = known
    differences = earlier.differences(manifest)
    if differences and not force:
        raise PTuningError(Errors.P830.format(path=output, differences="; ".join(differences)))
    return None if differences else shards


def _remove_obsolete(layout: Layout, manifest: Manifest, shards: Sequence[Shard]) -> None:
    """Remove what an earlier run made of something else."""
    known = read_manifest(layout.folder)
    if known is None:
        return
    earlier, old = known
    was = Layout(layout.folder, earlier.settings["format"], tuple(earlier.pipelines))
    kept = set(shards) if earlier.made_with == manifest.made_with else set()
    for shard in old:
        if shard not in kept:
            was.remove(shard)


def _run(job: Job, shards: Sequence[Shard], workers: int, report: Report) -> Iterator[tuple[Shard, Outcome]]:
    if workers > 1:
        yield from Pool(job, workers, report).run(shards)
    else:
        if shards:
            job.load()  # an error of a pipeline is none of a shard
        yield from ((shard, annotate_shard(job, shard, report)) for shard in shards)
