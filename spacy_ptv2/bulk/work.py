"""Annotates one shard: read, annotate, write, and a receipt at last.

In: a job and a shard. Out: files of the shard, each put into its place by a rename, and how it went. A lock that the
system releases with the process keeps two processes from writing the same shard. What is not a whole shard in the end
leaves no trace.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

from filelock import FileLock, Timeout

from ..errors import DiskError, Errors, PTuningError
from ..pipeline.batching import batch_by_tokens
from ..writing import replacing_file
from .layout import Layout, Receipt
from .manifest import state_of
from .parquet_files import schema_of
from .pipelines import Pipelines, load_once
from .records import Bad, Columns, Record
from .shards import PARQUET, Shard, path_of, read_shard
from .writers import DocWriter, JsonLinesWriter, ParquetWriter, Writer, dump, write_lines

MOST_CHARACTERS = 1 << 20  # of the texts that are in memory at a time; a longer one is alone
Report = Callable[[int, int], None]  # how many documents and words were annotated just now


@dataclass(frozen=True)
class Job:
    """What a worker process has to know.

    pipelines (tuple): Their names, and packages or folders. source (Path): The input.
    made_with (str): Digest of pipelines and settings. state (tuple): Of the manifest that says so.
    gpu_id (int): -1 for the CPU. share (int): How many processes share its cores.
    """

    pipelines: tuple[tuple[str, str], ...]
    source: Path
    layout: Layout
    columns: Columns
    made_with: str
    state: tuple[int, int]
    gpu_id: int = -1
    share: int = 1

    def load(self) -> Pipelines:
        """Return the pipelines. RAISES (PTuningError): P792."""
        return load_once(self.pipelines, self.gpu_id, self.share)

    def made_of(self, shard: Shard) -> str:
        """Return the digest of all that determines what a shard becomes."""
        content = json.dumps([self.made_with, shard.to_json()], sort_keys=True)
        return hashlib.sha256(content.encode("utf8")).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """What became of a shard in this run.

    state: "busy" if another process writes it. message (str): Of "failed", why. is_fatal (bool): Others would fail too.
    """

    state: Literal["done", "finished", "busy", "failed"]
    receipt: Receipt | None = None
    message: str = ""
    is_fatal: bool = False


def annotate_shard(job: Job, shard: Shard, report: Report) -> Outcome:
    """Annotate a shard unless it is finished, or another process is at it. Errors are an outcome, too."""
    made_of = job.made_of(shard)
    if (receipt := job.layout.finished(shard, made_of)) is not None:
        return Outcome("finished", receipt)
    try:
        with _alone(job.layout.lock(shard)) as is_alone:
            if not is_alone:
                return Outcome("busy")
            if (receipt := job.layout.finished(shard, made_of)) is not None:  # another process was at it until now
                return Outcome("finished", receipt)
            if state_of(job.layout.folder) != job.state:
                message = Errors.P831.format(path=job.layout.folder)
                return Outcome("failed", message=message, is_fatal=True)
            receipt = _write(job, shard, made_of, report)
            with suppress(OSError):  # a system may not let go of an open file
                job.layout.lock(shard).unlink()
        return Outcome("done", receipt)
    except DiskError as error:
        return Outcome("failed", message=str(error), is_fatal=True)
    except PTuningError as error:
        return Outcome("failed", message=str(error))
    except Exception as error:  # the other shards go on
        problem = f"{type(error).__name__}: {error}"
        return Outcome("failed", message=Errors.P824.format(shard=shard.name, error=problem))


def _write(job: Job, shard: Shard, made_of: str, report: Report) -> Receipt:
    start, layout = perf_counter(), job.layout
    pipelines = job.load()
    bad: list[Bad] = []
    n_documents = n_words = 0
    with ExitStack() as places:
        paths = [places.enter_context(replacing_file(path)) for path in layout.files(shard)]
        writer = _writer(job, shard, paths)
        for batch in _batches(read_shard(shard, job.source, job.columns), pipelines.batch_size, bad):
            words = 0
            for record, found in zip(batch, pipelines.annotate([own.asked for own in batch]), strict=True):
                if isinstance(found, str):
                    bad.append(Bad(record.file, record.number, found))
                else:
                    writer.add(record, found)
                    words += len(next(iter(found.values())))
                    n_documents += 1
            n_words += words
            report(len(batch), words)
        writer.close()
    _write_bad(layout.bad(shard), bad)
    sizes = {path.relative_to(layout.folder).as_posix(): path.stat().st_size for path in layout.files(shard)}
    n_bad = sum(own.n_records for own in bad)
    first_bad = bad[0].reason if bad else ""
    receipt = Receipt(made_of, n_documents, n_words, n_bad, first_bad, round(perf_counter() - start, 3), sizes)
    layout.finish(shard, receipt)
    return receipt


def _batches(records: Iterator[Record | Bad], size: int, bad: list[Bad]) -> Iterator[list[Record]]:
    """Group records, and put the bad ones aside."""

    def good() -> Iterator[Record]:
        for record in records:
            if isinstance(record, Bad):
                bad.append(record)
            else:
                yield record

    return batch_by_tokens(good(), size, MOST_CHARACTERS, n_tokens=lambda record: len(record.text))


def _writer(job: Job, shard: Shard, paths: Sequence[Path]) -> Writer:
    layout, columns = job.layout, job.columns
    if layout.format == "spacy":
        tasks = layout.tasks if layout.is_split else layout.tasks[:1]
        return DocWriter(dict(zip(tasks, paths, strict=True)), columns.text)
    if layout.format == "jsonl":
        return JsonLinesWriter(paths[0], columns.annotations)
    schema: Any = None
    if shard.kind == PARQUET and shard.n_documents:
        schema = schema_of(path_of(job.source, shard.files[0].name), columns)
    return ParquetWriter(paths[0], columns.annotations, schema)


def _write_bad(path: Path, bad: Sequence[Bad]) -> None:
    if not bad:
        path.unlink(missing_ok=True)
        return
    rows = [{"file": own.file, "number": own.number, "records": own.n_records, "reason": own.reason} for own in bad]
    with replacing_file(path) as place:
        write_lines((dump(row) for row in sorted(rows, key=lambda row: (row["file"], row["number"] or 0))), place)


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Yield whether no other process holds a lock, and hold it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
