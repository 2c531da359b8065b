"""Hashes that are kept across processes: taken while a file is the same, and never in the way."""

import hashlib
import json
import os

import pytest

from spacy_ptv2.backbones import hash_cache
from spacy_ptv2.backbones.hash_cache import hash_file


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The cache, in a folder of its own, for files of any size and age; counts what is computed."""
    monkeypatch.setattr(hash_cache, "_cache_folder", lambda: tmp_path / "cache" / "hashes")
    monkeypatch.setattr(hash_cache, "WORTH_KEEPING", 1)
    monkeypatch.setattr(hash_cache, "SETTLED_AFTER_NS", -1)
    return tmp_path / "cache" / "hashes"


@pytest.fixture
def computed(monkeypatch):
    calls = []
    compute = hash_cache._compute
    monkeypatch.setattr(hash_cache, "_compute", lambda file: (calls.append(file), compute(file))[1])
    return calls


@pytest.fixture
def weights(tmp_path):
    file = tmp_path / "weights"
    file.write_bytes(b"1234")
    return file


def expected(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_an_unchanged_file_is_hashed_once(cache, computed, weights):
    assert [hash_file(weights) for _ in range(3)] == [expected(weights)] * 3
    assert len(computed) == 1
    (entry,) = cache.iterdir()
    assert json.loads(entry.read_text())["path"] == str(weights.resolve())


def test_bypassing_the_cache(cache, computed, weights):
    hash_file(weights)
    (entry,) = cache.iterdir()
    entry.write_text(json.dumps({**json.loads(entry.read_text()), "sha256": "0" * 64}))
    assert hash_file(weights) == "0" * 64  # whoever can write there is believed, so `verify` does not look
    assert hash_file(weights, cached=False) == expected(weights)


def test_a_changed_file_is_hashed_again_even_if_its_time_is_set_back(cache, computed, weights):
    hash_file(weights)
    before = weights.stat()
    weights.write_bytes(b"5678")
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert hash_file(weights) == expected(weights)
    assert len(computed) == 2


def test_a_file_of_just_now_is_not_kept(cache, weights, monkeypatch):
    monkeypatch.setattr(hash_cache, "SETTLED_AFTER_NS", 10**15)
    hash_file(weights)
    assert not cache.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b'{"sha256": 3}', b'{"sha256": "short"}'])
def test_damaged_entries_are_harmless(cache, weights, content):
    hash_file(weights)
    (entry,) = cache.iterdir()
    entry.write_bytes(content)
    assert hash_file(weights) == expected(weights)


def test_a_cache_that_cannot_be_written_is_harmless(cache, weights):
    cache.parent.write_text("a file stands where the folder should be")
    assert hash_file(weights) == expected(weights)
