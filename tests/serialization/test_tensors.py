"""The safetensors files: round trip, header, and every kind of damage."""

import json

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from safetensors.numpy import save

from spacy_ptv2.errors import FormatError
from spacy_ptv2.serialization.tensors import FORMAT_VERSION, HEADER_KEY, dump_tensors, load_tensors, read_file

TENSORS = {"0.W": np.arange(6, dtype="float32").reshape(2, 3), "0.b": np.zeros(2, dtype="float32")}


def with_header(**changes):
    """Return a file whose header was changed after the checksum was taken."""
    data = dump_tensors(TENSORS, {"nodes": []})
    _, header = load_tensors(data, "x")
    header = {key: value for key, value in {**header, **changes}.items() if value is not None}
    return save(TENSORS, metadata={HEADER_KEY: json.dumps(header)})


@given(
    st.dictionaries(
        st.text("abc.", min_size=1, max_size=8),
        arrays(st.sampled_from(["float32", "int64"]), array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)),
        max_size=3,
    )
)
def test_round_trip(tensors):
    assume(all(np.isfinite(array).all() for array in tensors.values()))
    loaded, header = load_tensors(dump_tensors(tensors, {"nodes": [1]}), "here")
    assert header["nodes"] == [1]
    assert header["format_version"] == FORMAT_VERSION
    assert set(loaded) == set(tensors)
    for name, array in tensors.items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].dtype == array.dtype


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused(number):
    data = dump_tensors({**TENSORS, "0.b": np.array([0, number], dtype="float32")}, {})
    with pytest.raises(FormatError, match="P307.*model.safetensors is damaged: 0.b holds NaN or infinite"):
        load_tensors(data, "model.safetensors")


def test_same_tensors_give_the_same_bytes():
    assert dump_tensors(TENSORS, {}) == dump_tensors(dict(reversed(TENSORS.items())), {})


@pytest.mark.parametrize("number", [0, 2, 99])
def test_other_formats_are_refused(number):
    with pytest.raises(FormatError, match=rf"P303.*model.safetensors has format version {number},.*reads 1.*Install"):
        load_tensors(with_header(format_version=number), "model.safetensors")


def test_foreign_files_are_refused():
    with pytest.raises(FormatError, match="P304.*'spacy_ptv2'"):
        load_tensors(save(TENSORS), "model.safetensors")
    with pytest.raises(FormatError, match="P304.*'checksum'"):
        load_tensors(with_header(checksum=None), "model.safetensors")


def test_changed_tensors_are_refused():
    with pytest.raises(FormatError, match="P306.*model.safetensors.*checksum"):
        load_tensors(with_header(checksum="0" * 64), "model.safetensors")


@given(st.integers(min_value=0))
def test_a_file_cut_anywhere_is_refused(cut):
    data = dump_tensors(TENSORS, {"nodes": []})
    with pytest.raises(FormatError, match="P301.*model.safetensors"):
        load_tensors(data[: cut % len(data)], "model.safetensors")


def test_missing_file(tmp_path):
    with pytest.raises(FormatError, match="P302.*model.safetensors is missing"):
        read_file(tmp_path / "model.safetensors")
