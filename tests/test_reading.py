"""The one door for JSON: what it lets in and what not."""

from pathlib import Path

import pytest

from spacy_ptv2.reading import MAX_BYTES, MAX_DEPTH, is_file, is_folder, parse_json, parse_object


def test_documents_come_in():
    assert parse_object(b'{"a": [1, 2.5, null, "\\u00e9"]}') == {"a": [1, 2.5, None, "é"]}
    assert parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\xff", "decode"),
        (b"", "Expecting value"),
        (b'{"a": NaN}', "finite numbers, got NaN"),
        (b'{"a": -Infinity}', "finite numbers, got -Infinity"),
        (b'{"a": 1e999}', "finite numbers, got inf"),
        (b'{"a": ["\\ud800"]}', "surrogates"),
        (b'{"\\udfff": 1}', "surrogates"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "levels of nesting"),
        (b"[" * 10**6, "levels of nesting"),
        (b" " * (MAX_BYTES + 1), "bytes"),
        (b"9" * 10**4, "digits"),
    ],
)
def test_all_else_is_refused(data, problem):
    with pytest.raises(ValueError, match=problem):
        parse_json(data)


def test_objects_are_objects():
    with pytest.raises(ValueError, match="a JSON object, got list"):
        parse_object("[]")


def test_names_that_no_file_has(tmp_path):
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for name in ("\0", "\ud800", "x" * 5000, "circle", "absent"):
        assert not is_file(tmp_path / name)
        assert not is_folder(tmp_path / name)
    assert is_folder(tmp_path)
    assert is_file(Path(__file__))
