"""Two saved pipelines over one tiny backbone, texts, and what annotates them in this process."""

import json
import random

import numpy as np
import pytest

from spacy_ptv2.bulk.records import Columns
from spacy_ptv2.bulk.run import Running, Settings, annotate

from ..tiny import build_pipeline

WORDS = "Peter Hansen opens the Danish office of Acme in New York on a Monday , and John works in London .".split()


def make_texts(n, seed=0):
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, 30))) for _ in range(n)]


@pytest.fixture(scope="session")
def pipelines(tiny_folder, corpus, tmp_path_factory):
    """Folders by names. Batches are small, so that a shard has several; processes of their own compute as this one."""
    root = tmp_path_factory.mktemp("bulk")
    for seed, name in enumerate(["ner", "other"]):
        backbone = {"@misc": "spacy_ptv2.Backbone.v1", "name": str(tiny_folder), "dtype": "float32"}
        nlp = build_pipeline(tiny_folder, corpus, backbone=backbone)
        output = nlp.get_pipe("token_classifier").model.get_ref("output_layer")
        output.set_param("W", np.random.RandomState(seed).normal(size=output.get_param("W").shape).astype("f"))
        nlp.batch_size = 8
        nlp.to_disk(root / name)
    return {name: str(root / name) for name in ("ner", "other")}


@pytest.fixture
def lines(tmp_path):
    """A file of 60 texts as JSON lines."""
    path = tmp_path / "lake" / "texts.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps({"id": n, "text": t}) + "\n" for n, t in enumerate(make_texts(60))))
    return path


@pytest.fixture
def run(pipelines, tmp_path):
    """Annotate with one of the pipelines, or those that are given, in shards of 10."""

    def start(source, output="out", *, given=None, columns=(), part=(1, 1), workers=1, force=False, **settings):
        settings = Settings(columns=Columns.parse(columns), **{"shard_size": 10, **settings})
        given = {"ner": pipelines["ner"]} if given is None else given
        return annotate(given, source, tmp_path / output, settings, Running(part, workers, force=force))

    return start


def rows_of(folder):
    """All rows of a folder's JSON lines, in the order of their shards."""
    paths = [path for path in sorted(folder.rglob("*.jsonl")) if not path.relative_to(folder).parts[0].startswith("_")]
    return [json.loads(line) for path in paths for line in path.read_text(encoding="utf8").splitlines()]


def bad_of(folder):
    return [json.loads(line) for path in sorted(folder.rglob("*.bad.jsonl")) for line in path.read_text().splitlines()]


def contents(folder):
    """The content of every file that says what was annotated, by its path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    return {name: content for name, content in names.items() if not name.startswith(("_done/", "_locks/", "_m"))}
