"""What is read from files of each kind, whole and damaged, and where shards are cut."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import spacy
from spacy.tokens import Doc, DocBin

from spacy_ptv2.annotations.names import QUESTIONS, add_extension
from spacy_ptv2.bulk import parquet_files
from spacy_ptv2.bulk.doc_bins import as_asked
from spacy_ptv2.bulk.records import Bad, Columns
from spacy_ptv2.bulk.shards import Shard, cut_input, find_inputs, read_shard
from spacy_ptv2.bulk.text_files import lines_of
from spacy_ptv2.errors import CorpusError, PTuningError


@pytest.fixture
def read(tmp_path):
    """Cut an input and read its shards; the texts, or reasons, of each."""

    def start(source, size=2, *, columns=(), lines=False):
        cut = list(cut_input(source, find_inputs(source, tmp_path / "out"), size, lines=lines))
        assert [Shard.from_json(json.loads(json.dumps(shard.to_json()))) for shard in cut] == cut
        return {shard.name: list(read_shard(shard, source, Columns.parse(columns))) for shard in cut}

    return start


def texts_of(read):
    return {name: [r.reason if isinstance(r, Bad) else r.text for r in records] for name, records in read.items()}


def save_docs(path, n):
    nlp = spacy.blank("en")
    add_extension(QUESTIONS)
    docs = []
    for number in range(n):
        doc = Doc(
            nlp.vocab, words=["Mary-Ann", "gives", str(number)], spaces=[True, True, False], ents=["B-PER", "O", "O"]
        )
        doc._.questions = [f"Who gives {number}?"]
        docs.append(doc)
    DocBin(docs=docs, store_user_data=True).to_disk(path)


def test_txt_by_folder_and_by_line(tmp_path, read):
    source = tmp_path / "in"
    (source / "b").mkdir(parents=True)
    for name, text in {"2.txt": "two\nlines", "1.txt": "\ufeffone", "3.txt": "three", "b/4.txt": "four"}.items():
        (source / name).write_text(text, encoding="utf8")
    (source / ".hidden.txt").write_text("no")
    (source / "_part.txt").write_text("no")
    (source / "readme.md").write_text("no")
    assert texts_of(read(source)) == {
        "txt-000000000-000000002": ["one", "two\nlines"],
        "txt-000000002-000000003": ["three"],
        "b/txt-000000000-000000001": ["four"],
    }
    assert texts_of(read(source, lines=True))["2.txt-000000000-000000002"] == ["two", "lines"]
    (record,) = read(source / "3.txt")["txt-000000000-000000001"]
    assert record.fields == {"id": "3.txt", "text": "three"}


def test_json_lines(tmp_path, read):
    path = tmp_path / "a.jsonl"
    good = {"id": 7, "body": "a\u2028b", "more": [1, {"x": None}]}
    rows = [json.dumps(good), "", "{broken", json.dumps({"id": 8}), json.dumps({"body": 3}), "[1]", '{"body": "last"}']
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(rows).encode() + b'\n{"body": "\xff"}')
    found = read(path, 3, columns=["text=body"])
    assert texts_of(found) == {
        "a.jsonl-000000000-000000003": [
            "a\u2028b",
            "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ],
        "a.jsonl-000000003-000000006": [
            "expected a text in the field 'body', got none; its fields: id",
            "expected a text in the field 'body', got a int",
            "expected a JSON object, got list",
        ],
        "a.jsonl-000000006-000000008": [
            "last",
            "'utf-8' codec can't decode byte 0xff in position 10: invalid start byte",
        ],
    }
    (first, broken), (missing, *_), (last, _) = found.values()
    assert first.fields == good
    assert (broken.number, missing.number, last.number) == (3, 4, 7)
    kept = read(path, 3, columns=["text=body", "keep=id"])["a.jsonl-000000000-000000003"][0].fields
    assert kept == {"id": 7, "body": "a\u2028b"}
    (taken,) = read(path, 9, columns=["text=body", "annotations=more"]).values()
    assert taken[0].reason.startswith("it has a field 'more' already; name another with --column annotations=NAME")


def test_a_line_that_is_too_long_is_skipped(tmp_path):
    path = tmp_path / "long"
    path.write_bytes(b"abc\n" + b"x" * 50 + b"\nabcde\r\nabcdef\n" + b"y" * 7)
    with path.open("rb") as stream:
        assert list(lines_of(stream, 5)) == [b"abc", None, b"abcde", b"abcdef", None]


def test_csv(tmp_path, read):
    path = tmp_path / "a.csv"
    rows = [b"id,text", b'1,"one, with\nlines"', b"2,two", b"", b'3,"three"x', b"4,four,more", b"5,\xff", b"6,six"]
    path.write_bytes(b"\n".join(rows))
    found = read(path)
    assert texts_of(found) == {
        "a.csv-000000000-000000002": ["one, with\nlines", "two"],
        "a.csv-000000002-000000004": ["it is not CSV: ',' expected after '\"'", "expected 2 cells, got 3"],
        "a.csv-000000004-000000006": ["it is not UTF-8", "six"],
    }
    assert found["a.csv-000000000-000000002"][0].fields == {"id": "1", "text": "one, with\nlines"}
    (tmp_path / "b.tsv").write_text("text\tid\na, b\t1\n")
    assert texts_of(read(tmp_path / "b.tsv")) == {"b.tsv-000000000-000000001": ["a, b"]}
    (tmp_path / "c.csv").write_text('"text\n')
    ((only,),) = read(tmp_path / "c.csv").values()
    assert only.reason == "the file cannot be read: its first row is not CSV: unexpected end of data"


def test_parquet_and_a_damaged_row_group(tmp_path, read):
    path = tmp_path / "a.parquet"
    table = pa.table({"id": range(30), "text": [f"text {n} of many" for n in range(30)]})
    pq.write_table(table, path, row_group_size=7, compression="zstd", use_dictionary=False)
    whole = texts_of(read(path, 10))
    assert list(whole) == [
        "a.parquet-000000000-000000010",
        "a.parquet-000000010-000000020",
        "a.parquet-000000020-000000030",
    ]
    assert [text for own in whole.values() for text in own] == table["text"].to_pylist()
    chunk = pq.ParquetFile(path).metadata.row_group(1).column(1)
    content = bytearray(path.read_bytes())
    start = chunk.data_page_offset + chunk.total_compressed_size // 2
    content[start : start + 8] = b"\0" * 8
    path.write_bytes(content)
    first, second, _ = read(path, 10).values()
    assert [record.text for record in first[:7]] == table["text"].to_pylist()[:7]
    assert (first[7].number, first[7].n_records, second[0].number, second[0].n_records) == (8, 3, 11, 4)
    assert first[7].reason.startswith("rows 8 to 10 cannot be read: ")
    assert [record.text for record in second[1:]] == table["text"].to_pylist()[14:20]
    path.write_bytes(content[:-20])
    assert texts_of(read(path))["a.parquet-000000000-000000000"][0].startswith("the file cannot be read: Parquet")


def test_parquet_needs_its_package(tmp_path, read, monkeypatch):
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
    monkeypatch.setattr(parquet_files, "find_spec", lambda name: None)
    with pytest.raises(PTuningError, match=r"P821.*`pip install 'spacy-ptv2\[annotate\]'`"):
        read(tmp_path)


def test_docs_and_a_file_that_ends_early(tmp_path, read):
    path = tmp_path / "a.spacy"
    save_docs(path, 5)
    found = read(path)
    texts = [f"Mary-Ann gives {number}" for number in range(5)]
    assert list(texts_of(found).values()) == [texts[:2], texts[2:4], texts[4:]]
    asked = as_asked(found["a.spacy-000000002-000000004"][1].doc, spacy.blank("en").vocab)
    assert ([token.text for token in asked], asked._.questions, asked.ents) == (
        ["Mary-Ann", "gives", "3"],
        ("Who gives 3?",),
        (),
    )
    path.write_bytes(path.read_bytes()[:-9])
    ((only,),) = read(path).values()
    assert (only.number, only.reason[:52]) == (None, "the file cannot be read: it is no whole .spacy file:")


def test_files_without_documents_have_a_shard_each(tmp_path, read):
    for name in ("a.jsonl", "b.csv", "c.txt"):
        (tmp_path / name).write_text("")
    DocBin().to_disk(tmp_path / "d.spacy")
    found = texts_of(read(tmp_path))
    assert found.pop("txt-000000000-000000001") == [""]  # a text of no words is a document
    assert found == {f"{name}-000000000-000000000": [] for name in ("a.jsonl", "b.csv", "d.spacy")}


def test_no_input(tmp_path):
    for source in (tmp_path, tmp_path / "nowhere.txt"):
        with pytest.raises(CorpusError, match=r"P822.*\.txt, \.jsonl"):
            find_inputs(source, tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.jsonl").touch()
    with pytest.raises(CorpusError, match="P822"):
        find_inputs(tmp_path, tmp_path / "out")


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_an_input_that_vanishes_or_changes(tmp_path, name):
    path = tmp_path / name
    path.write_text('{"text": "a"}\n{"text": "b"}\n')
    (shard,) = cut_input(tmp_path, find_inputs(tmp_path, tmp_path / "out"), 5, lines=False)
    reading = read_shard(shard, tmp_path, Columns())
    next(reading)
    path.write_text('{"text": "c"}\n')
    with pytest.raises(CorpusError, match="P823.*has changed since"):
        list(reading)
    path.unlink()
    with pytest.raises(CorpusError, match="P823.*is not there any more"):
        list(read_shard(shard, tmp_path, Columns()))


@pytest.mark.parametrize("entry", ["word=a", "text=", "text"])
def test_columns_that_are_not_known(entry):
    with pytest.raises(PTuningError, match="P820.*text=NAME"):
        Columns.parse([entry])
