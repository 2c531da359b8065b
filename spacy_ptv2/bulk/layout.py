"""Where things are in an output folder, and which of its shards are finished.

In: a folder and shards. Out: paths. Only shards lie beside the folders of the input; all else begins with an
underscore, which Spark, pyarrow and others that read a whole folder leave out. A shard is finished once its receipt
says so, which is written last; the receipt names what it was made of and the sizes of its files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from ..reading import read_object
from ..writing import replacing_file
from .shards import Shard

FORMATS = ("jsonl", "parquet", "spacy")
MANIFEST, SHARDS = "_manifest.json", "_shards.jsonl"


@dataclass(frozen=True)
class Receipt:
    """What became of a shard. made_of (str): Digest of the pipelines, the settings and the input.

    bad (int), first_bad (str): How many records were, and why the first. files (dict[str, int]): Sizes of what was
    written.
    """

    made_of: str
    documents: int
    words: int
    bad: int
    first_bad: str
    seconds: float
    files: dict[str, int]


@dataclass(frozen=True)
class Layout:
    """An output folder. format (str): One of `FORMATS`. tasks (Sequence[str]): Names of the pipelines."""

    folder: Path
    format: str
    tasks: Sequence[str]

    def files(self, shard: Shard) -> list[Path]:
        """Return what a shard is written to: a file; of several pipelines, a .spacy file for each."""
        tasks = [f".{quote(task, safe=' ')}" for task in self.tasks] if self.is_split else [""]
        return [self.folder / f"{shard.name}{task}.{self.format}" for task in tasks]

    @property
    def is_split(self) -> bool:
        """Whether each pipeline has files of its own, as a Doc has room for the annotations of one."""
        return self.format == "spacy" and len(self.tasks) > 1

    def bad(self, shard: Shard) -> Path:
        """Return where it is said which records of a shard were bad."""
        return self.folder / "_bad" / f"{shard.name}.bad.jsonl"

    def lock(self, shard: Shard) -> Path:
        """Return the file that the process locks which writes a shard."""
        return self.folder / "_locks" / f"{shard.name}.lock"

    def receipt(self, shard: Shard) -> Path:
        """Return the receipt's place."""
        return self.folder / "_done" / f"{shard.name}.json"

    def finished(self, shard: Shard, made_of: str) -> Receipt | None:
        """Return the receipt of a shard that is finished and all there; None for any other."""
        try:
            receipt = Receipt(**read_object(self.receipt(shard)))
            sizes = {path.relative_to(self.folder).as_posix(): path.stat().st_size for path in self.files(shard)}
        except (OSError, ValueError, TypeError):
            return None
        return receipt if (receipt.made_of, receipt.files) == (made_of, sizes) else None

    def finish(self, shard: Shard, receipt: Receipt) -> None:
        """Write a receipt."""
        with replacing_file(self.receipt(shard)) as place:
            place.write_text(json.dumps(asdict(receipt)), encoding="utf8")

    def remove(self, shard: Shard) -> None:
        """Remove what there is of a shard, its receipt first."""
        for path in (self.receipt(shard), *self.files(shard), self.bad(shard), self.lock(shard)):
            with suppress(FileNotFoundError):
                path.unlink()
