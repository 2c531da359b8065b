"""Damaged files: refused by name, or loaded with the same predictions.

`SPACY_PTV2_MUTATIONS=20000` lets the first test here run more of them, and
`benchmarks/robustness/damage.py` counts them by kind.
"""

import json
import os
import resource
import shutil
from collections import Counter
from pathlib import Path

import pytest
import spacy
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save

from benchmarks.robustness.damage import BAD_OUTCOMES, choose, run_packages
from benchmarks.robustness.damage_subjects import build_subjects
from spacy_ptv2.errors import FormatError
from spacy_ptv2.serialization.header import read_header
from spacy_ptv2.serialization.tensors import HEADER_KEY, checksum_of

N_MUTATIONS = int(os.environ.get("SPACY_PTV2_MUTATIONS", "1000"))
MOST_MEMORY = 512 << 10  # kilobytes that all of them may need together, beyond what is loaded before


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_mutations_of_real_files_are_refused_by_name_or_change_nothing(tmp_path):
    """Components, manifests, backbones, documents: no raw error, no silent change, no hang, no explosion of memory."""
    transformers.logging.set_verbosity_error()
    subjects = build_subjects(tmp_path)
    outcomes = Counter()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    @settings(max_examples=N_MUTATIONS, deadline=None, database=None)
    @given(st.randoms(use_true_random=True))
    def mutate(chance):
        case = choose(subjects, chance).case(chance)
        assert case.outcome not in BAD_OUTCOMES, case
        outcomes[case.subject, case.outcome] += 1

    mutate()
    assert sum(outcomes.values()) >= 0.9 * N_MUTATIONS
    assert {subject for subject, outcome in outcomes if outcome == "refused"} == set(subjects)
    assert outcomes["component", "identical"] > 0 < outcomes["backbone", "told"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MEMORY


@pytest.mark.slow
def test_no_damage_of_packages_is_silent_and_none_ends_inside_a_library(tmp_path):
    cases = list(run_packages(tmp_path, 60, seed=1))
    assert [case for case in cases if case.outcome in BAD_OUTCOMES] == []
    assert sum(case.outcome == "refused" for case in cases) > 40


@pytest.fixture
def saved(pipeline, tmp_path):
    return Path(shutil.copytree(pipeline, tmp_path / "saved"))


def rewrite(file, change):
    """Change tensors and header of a file; the checksum is right again afterwards."""
    tensors, data = load_file(file), file.read_bytes()
    metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    header = json.loads(metadata[HEADER_KEY])
    change(tensors, header)
    header["checksum"] = checksum_of(tensors)
    file.write_bytes(save(tensors, metadata={HEADER_KEY: json.dumps(header)}))


def adapter_entry(header):
    return next(node["adapter"] for node in header["nodes"] if "adapter" in node)


TRANSFORMER, HEAD = "ptuning_transformer", "token_classifier"


@pytest.mark.parametrize(
    ("component", "change", "message"),
    [
        (TRANSFORMER, lambda t, h: adapter_entry(h)["backbone"].pop("fingerprint"), "P304.*'fingerprint'"),
        (TRANSFORMER, lambda t, h: adapter_entry(h)["backbone"].update(fingerprint=3), "P640.*fingerprint is 3"),
        (TRANSFORMER, lambda t, h: adapter_entry(h)["backbone"].update(fingerprint="0" * 64), "P105"),
        (TRANSFORMER, lambda t, h: adapter_entry(h)["backbone"].update(revision=[]), r"P640.*revision is \[\]"),
        (TRANSFORMER, lambda t, h: adapter_entry(h)["adapter"].update(lengths=[4, 4]), "P640.*one for each layer"),
        (TRANSFORMER, lambda t, h: adapter_entry(h)["adapter"].update(lengths=[10**12] * 3), "P305.*has the shape"),
        (
            TRANSFORMER,
            lambda t, h: adapter_entry(h)["adapter"].update(layers=[0, 1, 1]),
            "P640.*different numbers below 3",
        ),
        (TRANSFORMER, lambda t, h: adapter_entry(h)["adapter"].update(layers=[0, 1, True]), "P640.*whole numbers"),
        (TRANSFORMER, lambda t, h: h["nodes"].append(3), "P640.*nodes"),
        (
            TRANSFORMER,
            lambda t, h: h["nodes"][0]["dims"].update(nO=33),
            "P305.*33 and the backbone's states are 32 wide",
        ),
        (HEAD, lambda t, h: h.update(format_version=True), "P303.*True"),
        (HEAD, lambda t, h: [t.pop(name) for name in list(t)], "P305.*the file \\[\\]"),
        (HEAD, lambda t, h: t.update({"-1.W": t[next(iter(t))]}), "P305.*'-1.W' belongs to no layer"),
        (HEAD, lambda t, h: t.update({n: a.astype("float64") for n, a in t.items()}), "P305.*float64"),
        (HEAD, lambda t, h: t.update({n: a[:-1].copy() for n, a in t.items()}), "P305.*has the shape"),
    ],
)
def test_malformed_files_with_a_right_checksum_are_refused(saved, component, change, message):
    rewrite(saved / component / "model.safetensors", change)
    with pytest.raises(ValueError, match=message):
        spacy.load(saved)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": None}, "P641.*labels"),
        ({"labels": ["PER", "PER"]}, "P641.*different names"),
        ({"labels": []}, r"P309.*'B-LOC'.*the settings saved with it are for \[\]"),
        ({"labels": ["PER"]}, r"P309.*'B-LOC'.*the settings saved with it are for \['O', 'B-PER', 'I-PER'\]"),
        ({"labels": ["MISC", "LOC", "ORG", "PER"]}, "P309.*'B-LOC'.*for \\['O', 'B-MISC'"),
        ({"scheme": "x"}, "P641.*scheme.*iob2 or biluo"),
        ({"spans_key": 1}, "P641.*spans_key"),
    ],
)
def test_malformed_settings_are_refused(saved, changes, message):
    path = saved / HEAD / "cfg"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(FormatError, match=message):
        spacy.load(saved)


def test_older_files_do_not_say_what_their_tags_are(saved):
    """Their number is compared."""
    rewrite(saved / HEAD / "model.safetensors", lambda tensors, header: header.pop("outputs"))
    path = saved / HEAD / "cfg"
    settings = json.loads(path.read_text())
    spacy.load(saved)
    path.write_text(json.dumps({**settings, "labels": ["PER"]}))
    with pytest.raises(FormatError, match="P305.*9 outputs, the settings of cfg make 3"):
        spacy.load(saved)


def test_a_head_of_another_width_than_its_transformer_is_refused(saved):
    def wider(tensors, header):
        for node in header["nodes"]:
            node["dims"].update({dim: 40 for dim, value in node["dims"].items() if value == 32})
        for name, array in tensors.items():
            if array.ndim == 2:
                tensors[name] = array.repeat(2, axis=1)[:, :40].copy()

    rewrite(saved / HEAD / "model.safetensors", wider)
    with pytest.raises(FormatError, match="P642.*width 40 from 'ptuning_transformer', which returns 32"):
        spacy.load(saved)


def test_headers_that_are_none_are_refused():
    with pytest.raises(FormatError, match="P304.*'backbone'"):
        read_header({}, "here")
    with pytest.raises(FormatError, match="P640.*adapter is 3, expected a dict"):
        read_header({"backbone": {}, "adapter": 3}, "here")
