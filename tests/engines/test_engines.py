"""OpenVINO in the place of torch: the same states in every family that it takes, torch's own where it does not."""

import ctypes
import os
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from spacy_ptv2.adapters.joint_pass import read_batches
from spacy_ptv2.backbones import sizes
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.engines import engine as engines
from spacy_ptv2.engines import graph_cache, openvino_graph
from spacy_ptv2.engines.engine import Engine, get_engine
from spacy_ptv2.engines.graph import Int8Linear
from spacy_ptv2.engines.openvino_graph import CompiledGraph, has_openvino

from ..adapters.test_joint_pass import EVAL, build, make_batch
from ..conftest import ROOT
from ..injection.oracles import ORACLES
from ..tiny import save_tiny_backbone
from . import memory_of_shapes

pytestmark = [
    pytest.mark.skipif(not has_openvino(), reason="needs `pip install openvino`"),
    pytest.mark.usefixtures("own_backbones"),
]

LEFT_TO_TORCH = {"deberta"}  # it has an operation that OpenVINO does not know
# Those whose attention is that of another family here.
SAME_CODE = {"camembert", "electra", "mt5", "qwen2", "qwen3", "roberta", "xlm-roberta"}
IN_SHORT = {"mistral", "modernbert", "t5"}  # the others' graphs have nothing new
# Padding may see nothing under their sliding masks; not slow, so that they run with the newest transformers too.
SLIDING = {"mistral", "modernbert"}
FAMILIES = [
    pytest.param(
        family,
        marks=[
            *([] if family in SLIDING else [pytest.mark.slow]),
            *([] if family in IN_SHORT else [pytest.mark.exhaustive]),
        ],
    )
    for family in sorted(set(ORACLES) - SAME_CODE)
]
ROWS = [[0, 1, 2, 3]]


@pytest.fixture(scope="module")
def common_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("graphs")


@pytest.fixture(autouse=True)
def in_common_cache(common_cache, monkeypatch):
    """One cache of graphs for all tests that do not look into it: most convert the same one."""
    monkeypatch.setattr(graph_cache, "_cache_folder", lambda: common_cache)
    monkeypatch.setattr(sizes, "_cache_folder", lambda: common_cache.with_name("sizes"))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The cache of graphs, in a folder of its own."""
    monkeypatch.setattr(graph_cache, "_cache_folder", lambda: tmp_path / "graphs")
    return tmp_path / "graphs"


@pytest.fixture
def bert(tmp_path):
    """A tiny BERT whose engines are its own."""
    return load(tmp_path / "bert", "bert")


def load(folder, family, **source):
    return get_backbone(BackboneSource(str(save_tiny_backbone(folder, family, deviation=0.15)), **source))


def read(backbone, engine, batch=None, options=EVAL, **prompt):
    """The states that a seeded encoder reads of a batch."""
    torch.manual_seed(3)
    encoder = build(backbone, {**options, "engine": engine}, **{"length": 3, **prompt})
    with torch.inference_mode():
        (states,) = read_batches([encoder], [batch or make_batch(ROWS)])
    return states


def kept(cache):
    return sorted(cache.glob("*/graph.xml"))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_gives_the_same_states(family, tmp_path, cache):
    backbone = load(tmp_path / family, family)
    expected = read(backbone, "torch", layers=(0, 2), length=(2, 5))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        states = read(backbone, "openvino", layers=(0, 2), length=(2, 5))
    torch.testing.assert_close(states, expected, atol=1e-5, rtol=1e-5)
    assert any("[PW07]" in str(warning.message) for warning in caught) == (family in LEFT_TO_TORCH)
    assert len(kept(cache)) == (family not in LEFT_TO_TORCH)


def test_one_graph_serves_prompts_and_batches_of_all_shapes(bert, cache):
    batches = [make_batch(ROWS), make_batch([[2]], n_columns=11), make_batch([[1, 3]], n_columns=11)]
    for prompt in ({"length": 0}, {"layers": (1,)}, {"length": (1, 6, 2)}, {"length": 0}):
        for batch in batches:
            expected = read(bert, "torch", batch, **prompt)
            torch.testing.assert_close(read(bert, "openvino", batch, **prompt), expected, atol=1e-5, rtol=1e-5)
    # The word shape joins at the first layer with a prompt: at the embeddings, outside of the graph, or at layer 1.
    assert len(kept(cache)) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "prompt"),
    [
        ({**EVAL, "scalar_mix": False}, {}),
        ({**EVAL, "word_shape_place": "pieces"}, {"layers": (2,)}),
        (EVAL, {"shift_positions": True, "length": 5}),
    ],
)
def test_forms_of_the_encoder(bert, cache, options, prompt):
    expected = read(bert, "torch", options=options, **prompt)
    torch.testing.assert_close(read(bert, "openvino", options=options, **prompt), expected, atol=1e-5, rtol=1e-5)
    assert len(kept(cache)) == 1


@pytest.mark.slow
def test_several_prompts_share_a_pass_or_the_engine(bert, cache):
    """Where lower layers are shared torch runs all in one pass, else the engine one after the other."""
    for lowest, n_graphs in ((1, 0), (0, 1)):
        encoders = [build(bert, {**EVAL, "engine": "openvino"}, length=n, layers=(lowest, 2)) for n in (2, 3)]
        plain = [build(bert, length=n, layers=(lowest, 2)) for n in (2, 3)]
        for encoder, other in zip(plain, encoders, strict=True):
            encoder.load_state_dict(other.state_dict())
        for rows in ([[0, 1], [1, 2, 3]], [[], [0, 3]]):
            with torch.inference_mode():
                expected, states = (read_batches(own, [make_batch(rows)]) for own in (plain, encoders))
            torch.testing.assert_close(states, expected, atol=1e-5, rtol=1e-5)
        assert len(kept(cache)) == n_graphs


@pytest.mark.parametrize(
    ("name", "dtype", "most", "precision"),
    [
        ("openvino", "float32", 1e-5, "float32"),
        ("openvino", "bfloat16", 0.02, "bfloat16 in OpenVINO"),
        ("openvino", "float16", 0.002, "float16 in OpenVINO"),
        ("openvino-int8", "float32", 0.03, "int8 in OpenVINO"),
        ("torch", "bfloat16", 0.02, "bfloat16"),
    ],
)
def test_precision(tmp_path, name, dtype, most, precision):
    exact = read(load(tmp_path / "exact", "bert"), "torch")
    backbone = load(tmp_path / "other", "bert", dtype=dtype)
    error = float((read(backbone, name) - exact).abs().mean() / exact.abs().mean())
    assert error < most and (error > 1e-4) == (precision != "float32")
    assert build(backbone, {**EVAL, "engine": name}).precision == precision


def test_weights_of_8_bits_are_off_by_half_a_step():
    linear = torch.nn.Linear(16, 5)
    rounded = Int8Linear(linear)
    step = linear.weight.detach().abs().amax(dim=1) / 127
    assert rounded.weight.dtype == torch.int8 and int(rounded.weight.abs().max()) == 127
    off = (rounded(torch.eye(16)) - linear(torch.eye(16))).abs().amax(dim=0)
    assert (off <= step * 0.51).all() and (off > 0).any()


def test_states_with_gradients_are_torchs_own(bert, cache):
    encoder = build(bert, {**EVAL, "engine": "openvino"})
    for training in (True, False):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # no engine is asked, so none has to be left aside
            (states,) = read_batches([encoder.train(training)], [make_batch(ROWS)])
        assert states.requires_grad and not kept(cache)


def test_auto_takes_what_is_there(bert, monkeypatch):
    assert get_engine(bert, "auto") is None  # tiny
    monkeypatch.setattr(engines, "WORTH_CONVERTING", 1)
    assert get_engine(bert, "auto") is get_engine(bert, "openvino") is not None
    monkeypatch.setattr(engines, "has_openvino", lambda: False)
    assert get_engine(bert, "auto") is None


@pytest.mark.parametrize(
    ("hinder", "reason"),
    [
        (lambda patch, backbone: patch.setattr(engines, "has_openvino", lambda: False), r"spacy-ptv2\[openvino\]"),
        (lambda patch, backbone: patch.setattr(Engine, "started_in", -1), "forked"),
        (lambda patch, backbone: patch.setattr(engines, "find_obstacle", lambda backbone: "on cuda:0"), "cuda:0"),
        (
            lambda patch, backbone: patch.setattr(backbone, "source", replace(backbone.source, quantization="int8")),
            "'int8'",
        ),
        (lambda patch, backbone: patch.setattr(engines, "convert_graph", lambda program: 1 / 0), "ZeroDivisionError"),
        (lambda patch, backbone: patch.setitem(engines.TOLERANCES, "int8", 1e-9), "expected at most 1e-09"),
    ],
)
def test_torch_steps_in(bert, cache, monkeypatch, hinder, reason):
    """With one warning that says why, and nothing that did not work is kept."""
    expected = read(bert, "torch")
    hinder(monkeypatch, bert)
    with pytest.warns(UserWarning, match=rf"\[PW07\].*'openvino-int8'.*{reason}") as caught:
        states = [read(bert, "openvino-int8") for _ in range(2)]
    assert len([warning for warning in caught if "PW07" in str(warning.message)]) == 1
    assert torch.equal(states[0], expected) and torch.equal(states[1], expected)
    assert get_engine(bert, "openvino-int8").precision(bert) == "float32"
    assert not kept(cache)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_another_process_finds_the_graph(tmp_path, cache, monkeypatch):
    """Until it is damaged; then it is made again, without a warning. And where the code has changed."""
    expected = read(load(tmp_path / "bert", "bert"), "torch")
    calls = []
    convert = engines.convert_graph
    monkeypatch.setattr(engines, "convert_graph", lambda program: calls.append(1) or convert(program))

    def start_anew(name):
        calls.clear()
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=r"\[PW07\]")
            states = read(load(tmp_path / name, "bert"), "openvino")  # the same files, an engine of its own
        torch.testing.assert_close(states, expected, atol=1e-5, rtol=1e-5)
        return len(calls)

    assert [start_anew("a"), start_anew("b")] == [1, 0]
    (description,) = kept(cache)
    description.write_bytes(b"")
    assert [start_anew("c"), start_anew("d")] == [1, 0]
    for file in (description.with_suffix(".bin"), description):
        flipped = bytearray(file.read_bytes())
        flipped[len(flipped) // 2] ^= 1  # one bit changes entities where nobody looks
        file.write_bytes(flipped)
        assert [start_anew(name) for name in (f"e{file.suffix}", f"f{file.suffix}")] == [1, 0]
    (tmp_path / "changed").mkdir()
    (tmp_path / "changed" / "more.py").write_text("1", encoding="utf8")
    monkeypatch.setattr(engines, "OWN_CODE", (*engines.OWN_CODE, tmp_path / "changed"))
    assert [start_anew("h"), start_anew("i")] == [1, 0]


def test_graphs_not_used_for_longest_go(bert, cache, monkeypatch):
    for number in range(3):
        folder = cache / str(number)
        folder.mkdir(parents=True)
        (folder / "graph.xml").write_bytes(bytes(1000))
        os.utime(folder, (number, number))
    monkeypatch.setattr(graph_cache, "MOST_BYTES", 2500)
    graph_cache._prune(cache)
    assert [file.parent.name for file in kept(cache)] == ["1", "2"]


def test_what_killed_conversions_leave_is_counted_and_goes(cache, monkeypatch):
    """One that may still be at work stays as long as there is room."""
    for name, age in (("old", 2 * graph_cache.ABANDONED_AFTER), ("young", 10)):
        (cache / name / "new").mkdir(parents=True)
        (cache / name / "new" / "graph.bin").write_bytes(bytes(1000))
        os.utime(cache / name, (time.time() - age,) * 2)
    graph_cache._prune(cache)
    assert [entry.name for entry in cache.iterdir()] == ["young"]
    (cache / "graph").mkdir()
    (cache / "graph" / "graph.xml").write_bytes(bytes(1000))
    monkeypatch.setattr(graph_cache, "MOST_BYTES", 1500)
    graph_cache._prune(cache)
    assert [entry.name for entry in cache.iterdir()] == ["graph"]


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_no_obstacle(bert, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(graph_cache, "_cache_folder", lambda: tmp_path / "file" / "graphs")
    torch.testing.assert_close(read(bert, "openvino"), read(bert, "torch"), atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_threads_take_turns(bert):
    batches = [make_batch(ROWS, n_columns=n) for n in range(7, 13)]
    expected = [read(bert, "torch", batch) for batch in batches]
    torch.manual_seed(3)
    encoder = build(bert, {**EVAL, "engine": "openvino"}, length=3)

    def work(batch):
        with torch.inference_mode():
            return [read_batches([encoder], [batch])[0] for _ in range(20)]

    with ThreadPoolExecutor(len(batches)) as pool:
        for states, alone in zip(pool.map(work, batches), expected, strict=True):
            for own in states:
                torch.testing.assert_close(own, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc from 2.33")
@pytest.mark.exhaustive
def test_memory_does_not_grow_with_the_shapes_of_batches(tmp_path):
    """With room for 5,000 kernels it does: so this can fail."""
    folder = save_tiny_backbone(tmp_path / "bert", "bert")
    growth = []
    for kept_kernels in (openvino_graph.KEPT_KERNELS, 5000):
        command = [sys.executable, "-m", memory_of_shapes.__name__, str(folder), str(kept_kernels)]
        output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        growth.append(float(output.split()[-1]))
    kept, unbound = growth
    assert kept < unbound / 3


def test_a_version_of_openvino_without_the_setting_of_the_cache(bert, monkeypatch):
    monkeypatch.setattr(openvino_graph, "GRAPH_CACHE", "NO_SUCH_SETTING")
    expected = read(bert, "torch")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.testing.assert_close(read(bert, "openvino"), expected, atol=1e-5, rtol=1e-5)


def test_what_is_no_number_is_computed_by_torch(bert, monkeypatch):
    """Also when that comes up long after the graph was compared."""
    expected = read(bert, "torch")
    read(bert, "openvino")
    monkeypatch.setattr(CompiledGraph, "__call__", lambda self, tensors: (torch.full((4, 7, 32), torch.nan),))
    with pytest.warns(UserWarning, match=r"\[PW07\].*not numbers"):
        assert torch.equal(read(bert, "openvino"), expected)


REPORTS = """
import json, os, sys
from openvino_telemetry.utils.sender import TelemetrySender
import torch

sent = []
TelemetrySender.send = lambda *arguments, **settings: sent.append(str(arguments))
before = dict(os.environ)
if sys.argv[1] == "ours":
    from spacy_ptv2.engines.openvino_graph import convert_graph
else:
    from openvino import convert_model as convert_graph
convert_graph(torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(3, 2),)))
assert dict(os.environ) == before, "the environment was changed"
assert sys.modules["openvino_telemetry"] is not None
print(json.dumps(len(sent)))
"""


@pytest.mark.slow
def test_nothing_reports_its_use(tmp_path):
    """Neither the import of OpenVINO nor a conversion, both of which do so by themselves."""
    pytest.importorskip("openvino_telemetry")
    kept = {name: value for name, value in os.environ.items() if name != "CI"}
    counts = []
    for who in ("ours", "openvino"):
        command = [sys.executable, "-c", REPORTS, who]
        home = {**kept, "HOME": str(tmp_path / who)}
        (tmp_path / who).mkdir()
        done = subprocess.run(command, env=home, capture_output=True, text=True, timeout=120, check=True)
        counts.append(int(done.stdout.splitlines()[-1]))
    assert counts[0] == 0 < counts[1]


INTERRUPTED = """
import signal, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started without it
import torch
from spacy_ptv2.engines.openvino_graph import CompiledGraph, convert_graph

program = torch.export.export(torch.nn.Linear(4, 4), (torch.zeros(1, 2, 4),))
held = [CompiledGraph(convert_graph(program), width=4, in_bfloat16=False)]
freeing = threading.Thread(target=held.clear)
freeing.start()
freeing.join()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_reaches_python_after_another_thread_freed_a_graph():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
