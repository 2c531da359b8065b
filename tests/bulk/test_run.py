"""Shards are written once, whole, and the same whoever writes them and whoever is killed meanwhile."""

import datetime
import io
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import spacy
from filelock import FileLock
from spacy.language import Language
from spacy.tokens import DocBin

from spacy_ptv2.bulk import pool, progress, work
from spacy_ptv2.bulk import run as run_module
from spacy_ptv2.bulk.run import parse_part
from spacy_ptv2.errors import DiskError, PTuningError
from spacy_ptv2.serving.annotations import to_json

from ..conftest import ROOT
from .conftest import bad_of, contents, make_texts, rows_of


def test_annotations_are_those_of_the_pipeline(run, lines, tmp_path, pipelines):
    summary = run(lines)
    nlp = spacy.load(pipelines["ner"])
    rows = rows_of(tmp_path / "out")
    assert [row["id"] for row in rows] == list(range(60))
    docs = list(nlp.pipe([row["text"] for row in rows]))
    assert any(doc.ents for doc in docs)
    for row, doc in zip(rows, docs, strict=True):
        assert_same(row["annotations"], {"ner": to_json(doc, "ner")})
    assert (summary.done, summary.documents, summary.words) == (6, 60, sum(map(len, docs)))


def assert_same(got, expected):
    """Equal, but for the rounding of confidences."""
    for task, own in expected.items():
        confidences = [[entity.pop("confidence") for entity in one["entities"]] for one in (got[task], own)]
        assert confidences[0] == pytest.approx(confidences[1], abs=1e-5)
    assert got == expected


def test_a_rerun_does_nothing(run, lines, tmp_path):
    run(lines)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    summary = run(lines)
    assert (summary.done, summary.finished, summary.documents) == (0, 6, 60)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_what_is_not_whole_is_done_again(run, lines, tmp_path):
    run(lines)
    whole = contents(tmp_path / "out")
    first, second, third = sorted(path for path in (tmp_path / "out").glob("texts*"))[:3]
    first.unlink()
    second.write_bytes(second.read_bytes()[:-40])
    (tmp_path / "out" / "_done" / f"{third.stem}.json").write_text("{}")
    (tmp_path / "out" / f".{first.name}.new").write_text("of a killed process")
    assert run(lines).done == 3
    assert contents(tmp_path / "out") == whole


def test_parts_of_the_work(run, lines, tmp_path):
    assert [run(lines, part=(number, 4)).done for number in (1, 2, 3, 4)] == [2, 2, 1, 1]
    run(lines, "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert (parse_part("1/1"), parse_part("3/16")) == ((1, 1), (3, 16))
    for wrong in ("0/3", "4/3", "2", "a/b", "-1/2"):
        with pytest.raises(PTuningError, match="P829"):
            parse_part(wrong)


def test_what_differs_is_refused_and_forced(run, lines, tmp_path, pipelines):
    run(lines)
    other = lines.with_name("more.jsonl")
    for changed, message in (
        ({"given": {"ner": pipelines["other"]}}, "the pipeline 'ner' was .*, is"),
        ({"shard_size": 20}, "the setting 'shard_size' was 10, is 20"),
        ({"columns": ["keep=id"]}, "the setting 'columns' was"),
        ({"format": "spacy"}, "the setting 'format' was jsonl, is spacy"),
    ):
        with pytest.raises(PTuningError, match=f"P830.*{message}.*--force"):
            run(lines, **changed)
    run(lines.parent, "folder")
    other.write_text('{"text": "London"}\n')
    with pytest.raises(PTuningError, match=r"P830.*1 of the input's files: new \(more.jsonl\)"):
        run(lines.parent, "folder")
    summary = run(lines.parent, "folder", force=True)
    assert (summary.done, summary.finished) == (1, 6)  # what did not change stays
    lines.unlink()
    with pytest.raises(PTuningError, match=r"P830.*not there any more \(texts.jsonl\)"):
        run(lines.parent, "folder")
    run(lines.parent, "folder", force=True)
    assert [row["text"] for row in rows_of(tmp_path / "folder")] == ["London"]
    run(lines.parent, "folder", force=True, given={"ner": pipelines["other"]}, format="spacy")
    assert [path.name for path in (tmp_path / "folder").glob("[!_]*")] == ["more.jsonl-000000000-000000001.spacy"]


def test_a_folder_of_others_is_left_alone(run, lines, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("all of it")
    with pytest.raises(PTuningError, match="P825"):
        run(lines)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]
    run(lines, "ours")
    (tmp_path / "ours" / "_manifest.json").write_text('{"format_version": 9}')
    with pytest.raises(PTuningError, match="P826.*expected version 1, got 9"):
        run(lines, "ours")


def test_settings_that_cannot_be(run, lines):
    with pytest.raises(PTuningError, match="P832.*jsonl, parquet, spacy"):
        run(lines, format="xml")
    for name, wrong in (("--shard-size", {"shard_size": 0}), ("--workers", {"workers": 0})):
        with pytest.raises(PTuningError, match=f"P834.*{name}, got 0"):
            run(lines, **wrong)


@pytest.mark.parametrize("given", [("ner",), ("ner", "other")], ids=len)
def test_formats_have_the_same_annotations(run, lines, tmp_path, pipelines, given):
    given = {name: pipelines[name] for name in given}
    for format in ("jsonl", "parquet", "spacy"):
        run(lines, format, given=given, format=format)
    rows = rows_of(tmp_path / "jsonl")
    assert all(list(row["annotations"]) == list(given) for row in rows)
    paths = sorted((tmp_path / "parquet").glob("*.parquet"))
    columns = [row for path in paths for row in pq.read_table(path).to_pylist()]
    assert [row | {"id": int(row["id"]), "annotations": json.loads(row["annotations"])} for row in columns] == rows
    for name in given:
        suffix = f".{name}.spacy" if len(given) > 1 else ".spacy"
        paths = sorted((tmp_path / "spacy").glob(f"*{suffix}"))
        docs = [doc for path in paths for doc in DocBin().from_disk(path).get_docs(spacy.blank("en").vocab)]
        assert [to_json(doc, name) for doc in docs] == [row["annotations"][name] for row in rows]
        assert [doc.user_data["record"] for doc in docs] == [{"id": number} for number in range(60)]


def test_several_pipelines_are_each_alone(run, lines, tmp_path, pipelines):
    run(lines, "both", given=pipelines)
    for name in pipelines:
        run(lines, name, given={name: pipelines[name]})
        for both, alone in zip(rows_of(tmp_path / "both"), rows_of(tmp_path / name), strict=True):
            assert_same({name: both["annotations"][name]}, alone["annotations"])


def test_types_of_parquet_stay(run, tmp_path):
    days = [datetime.date(2026, 1, 2), None]
    table = pa.table({"text": ["London", "Acme"], "day": days, "x": [1.5, float("nan")]})
    pq.write_table(table, tmp_path / "a.parquet")
    run(tmp_path / "a.parquet", format="parquet")
    (path,) = (tmp_path / "out").glob("*.parquet")
    written = pq.read_table(path)
    assert written.drop_columns("annotations").schema.types == table.schema.types
    run(tmp_path / "a.parquet", "json")
    assert [(row["day"], row["x"]) for row in rows_of(tmp_path / "json")] == [("2026-01-02", 1.5), (None, None)]


@Language.component("fails_on_monday")
def fails_on_monday(doc):
    if "Monday" in doc.text:
        raise KeyError("Monday")
    return doc


def test_bad_documents_do_not_take_others_with_them(run, tmp_path, pipelines):
    nlp = spacy.load(pipelines["ner"])
    nlp.add_pipe("fails_on_monday")
    nlp.to_disk(tmp_path / "failing")
    (tmp_path / "in.txt").write_text("London\non Monday\n" + "x " * 500_001 + "\nAcme\n")
    summary = run(tmp_path / "in.txt", given={"a": str(tmp_path / "failing")}, lines=True)
    assert (summary.documents, summary.bad) == (2, 2)
    assert [row["text"] for row in rows_of(tmp_path / "out")] == ["London", "Acme"]
    assert [(bad["number"], bad["reason"]) for bad in bad_of(tmp_path / "out")] == [
        (2, "a pipeline failed: KeyError: 'Monday'"),
        (3, "expected a text of at most 1,000,000 characters (nlp.max_length)"),
    ]


def test_a_shard_of_which_all_fails_is_an_error(run, tmp_path, pipelines):
    nlp = spacy.load(pipelines["ner"])
    nlp.add_pipe("fails_on_monday")
    nlp.to_disk(tmp_path / "failing")
    (tmp_path / "in.txt").write_text("Monday\n" * 10 + "London\n")
    summary = run(tmp_path / "in.txt", given={"a": str(tmp_path / "failing")}, lines=True)
    ((name, message),) = summary.failed.items()
    assert (name, summary.done) == ("in.txt-000000000-000000010", 1)
    assert message.startswith("[P824] The shard in.txt-000000000-000000010 could not be annotated: KeyError: 'Monday'")
    assert [row["text"] for row in rows_of(tmp_path / "out")] == ["London"]


def test_an_input_that_vanishes_takes_its_shards_alone(run, lines, tmp_path, monkeypatch):
    other = lines.with_name("zoo.jsonl")
    other.write_text('{"text": "London"}\n')
    original = work.read_shard

    def vanish(shard, *args):
        if shard.name == "texts.jsonl-000000020-000000030":
            lines.unlink()
        return original(shard, *args)

    monkeypatch.setattr(work, "read_shard", vanish)
    summary = run(lines.parent)
    assert (summary.done, len(summary.failed)) == (3, 4)
    assert all("P823" in message for message in summary.failed.values())
    assert len(rows_of(tmp_path / "out")) == 21
    assert not list((tmp_path / "out").rglob("*.new"))


def test_a_full_disk_ends_the_run(run, lines, tmp_path, monkeypatch):
    def full(path):
        raise DiskError("[P810] full")

    monkeypatch.setattr(work, "replacing_file", full)
    with pytest.raises(PTuningError, match="P810"):
        run(lines)


def test_a_shard_of_another_process(run, lines, tmp_path):
    locks = tmp_path / "out" / "_locks"
    locks.mkdir(parents=True)
    (locks / "_manifest.lock").touch()
    (locks / "texts.jsonl-000000010-000000020.lock").touch()  # of a dead process
    with FileLock(locks / "texts.jsonl-000000000-000000010.lock"):
        summary = run(lines)
    assert (summary.done, summary.busy) == (5, 1)
    assert (run(lines).done, run(lines).finished) == (1, 6)


def test_a_run_that_another_one_started_anew(run, lines, monkeypatch, pipelines):
    original = run_module._run

    def forced_meanwhile(job, shards, *args):
        monkeypatch.setattr(run_module, "_run", original)
        run(lines, force=True, given={"ner": pipelines["other"]})
        return original(job, shards, *args)

    monkeypatch.setattr(run_module, "_run", forced_meanwhile)
    with pytest.raises(PTuningError, match="P831.*--force"):
        run(lines)
    assert run(lines, given={"ner": pipelines["other"]}).finished == 6


def kill_worker():
    os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)


@pytest.mark.slow
def test_workers_and_one_that_is_killed(run, lines, tmp_path, monkeypatch):
    killed = []
    original = progress.Progress.add

    def kill_once(self, documents, words):
        if documents and not killed:
            killed.append(kill_worker())
        original(self, documents, words)

    monkeypatch.setattr(progress.Progress, "add", kill_once)
    summary = run(lines, workers=2, shard_size=30)
    assert (summary.done, summary.documents, killed) == (2, 60, [None])
    run(lines, "alone", shard_size=30)
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.exhaustive
def test_workers_that_are_always_killed(run, lines, monkeypatch):
    monkeypatch.setattr(pool, "TRIES", 2)
    monkeypatch.setattr(progress.Progress, "add", lambda self, documents, words: documents and kill_worker())
    lines.write_text("".join(json.dumps({"text": text}) + "\n" for text in make_texts(4000)))
    monkeypatch.setattr(run_module, "_run", lambda job, shards, workers, report: pool.Pool(job, 1, report).run(shards))
    summary = run(lines, shard_size=4000)
    (message,) = summary.failed.values()
    assert "P827" in message and "2 worker processes ended over it, the last one by the signal SIGKILL" in message


@pytest.mark.slow
def test_workers_that_cannot_start(run, lines, pipelines, tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "TRIES", 2)
    stop = threading.Event()

    def kill_all():
        while not stop.wait(0.05):
            for child in multiprocessing.active_children():
                child.kill()

    thread = threading.Thread(target=kill_all)
    thread.start()
    try:
        with pytest.raises(PTuningError, match="P828.*by the signal SIGKILL"):
            run(lines, workers=2)
    finally:
        stop.set()
        thread.join()
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    with pytest.raises(PTuningError, match="P792"):
        run(lines, "nothing there", given={"a": str(nothing)}, workers=2)


@pytest.mark.slow
def test_a_command_that_is_killed_and_repeated(run, lines, tmp_path, pipelines):
    """All its processes at once, after the first shards; what was written until then stays, and the rest is added."""
    command = ["ptv2", "annotate", pipelines["ner"], str(lines), str(tmp_path / "out")]
    options = ["--shard-size", "10", "--workers", "2"]
    running = subprocess.Popen(
        [sys.executable, "-m", "spacy", *command, *options], cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL
    )
    done = tmp_path / "out" / "_done"
    while not list(done.glob("*.json")):
        assert running.poll() is None
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    before = {path: path.stat().st_mtime_ns for path in done.glob("*.json")}
    while run(lines).busy:  # a worker may take a moment to die
        time.sleep(0.1)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(list(done.glob("*.json"))) == 6
    run(lines, "alone")
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")


@pytest.mark.slow
def test_two_commands_at_a_time(run, lines, tmp_path, pipelines):
    """No shard is written twice, and none is left."""
    command = ["ptv2", "annotate", pipelines["ner"], str(lines), str(tmp_path / "out"), "--shard-size", "10"]
    other = subprocess.Popen([sys.executable, "-m", "spacy", *command], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    while not list((tmp_path / "out" / "_done").glob("*.json")):
        assert other.poll() is None
        time.sleep(0.02)
    own = run(lines)
    out = " ".join(other.communicate()[0].split())
    n_shards, n_before = map(int, re.search(r"in (\d+) shards, (\d+) of them from before", out).groups())
    assert (other.returncode, own.done + n_shards - n_before) == (0, 6)
    run(lines, "alone")
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")


def test_progress_in_a_terminal_and_elsewhere(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    now = iter([0.0, 30.0, 31.0, 60.0] * 2)
    monkeypatch.setattr(progress, "monotonic", lambda: next(now))
    for stream, expected in (
        (io.StringIO(), "0 of 3 shards, 10 of 40 documents, 20 words/s, 0:01:30 left\n0 of 3 shards, 30 of 40"),
        (Terminal(), "\r\x1b[K0 of 3 shards, 10 of 40 documents, 20 words/s, 0:01:30 left\r\x1b[K"),
    ):
        told = progress.Progress(40, 3, stream)
        for _ in range(3):
            told.add(10, 600)
        told.close()
        assert stream.getvalue().startswith(expected)
    assert progress.Progress(0, 0, _start=0.0).line(1.0).endswith("0:00:00 left")
