"""Parquet, read row group by row group and written with annotations as JSON. Needs pyarrow, of the extra `annotate`.

In: a file. Out: where each shard begins; and the records of a shard. A row group that is damaged is returned as such,
and the next one is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import Errors, PTuningError
from .cuts import Cut
from .records import Bad, Columns, Record, make_record

ROWS_AT_ONCE = 512


def check_pyarrow() -> None:
    """RAISES (PTuningError): P821 if pyarrow is not installed."""
    if find_spec("pyarrow") is None:
        raise PTuningError(Errors.P821)


def cut_parquet(path: Path, size: int) -> Iterator[Cut]:
    """Yield where shards of `size` rows begin and end. RAISES (ValueError, OSError): If the file is not Parquet."""
    n_rows = _open(path).metadata.num_rows
    for start in range(0, n_rows, size):
        yield Cut(start, min(start + size, n_rows))


def read_parquet(path: Path, name: str, cut: Cut, columns: Columns) -> Iterator[Record | Bad]:
    """Yield the records of a shard."""
    import pyarrow

    file = _open(path)
    end = 0
    for group in range(file.metadata.num_row_groups):
        start, end = end, end + file.metadata.row_group(group).num_rows
        at, last = max(start, cut.start), min(end, cut.stop)
        if at >= last:
            continue
        try:
            for rows in _rows(file, group, slice(at - start, last - start), columns.read):
                for number, values in enumerate(rows, start=at + 1):
                    yield make_record(name, number, values, columns)
                at += len(rows)
        except (OSError, ValueError, pyarrow.ArrowException) as error:
            yield Bad(name, at + 1, f"rows {at + 1} to {last} cannot be read: {error}", n_records=last - at)


def _rows(file: Any, group: int, wanted: slice, columns: list[str] | None) -> Iterator[list[dict[str, Any]]]:
    """Yield some rows of a row group, as many at a time as are decoded together."""
    at = 0
    for batch in file.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=columns):
        first, stop = max(wanted.start - at, 0), min(wanted.stop - at, len(batch))
        if first < stop:
            yield batch.slice(first, stop - first).to_pylist()
        at += len(batch)
        if at >= wanted.stop:
            return


def schema_of(path: Path, columns: Columns) -> Any:
    """Return the types of the columns that are carried through."""
    schema = _open(path).schema_arrow
    return schema if columns.read is None else type(schema)([f for f in schema if f.name in columns.read])


def _open(path: Path) -> Any:
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(path)
