"""LoRA folded into weights: the same hidden states for its task alone, nothing changed for others, nothing stale."""

import copy
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import spacy
import torch

from spacy_ptv2.adapters.joint_pass import read_batches
from spacy_ptv2.backbones import sizes
from spacy_ptv2.engines import engine as engines
from spacy_ptv2.engines import graph_cache
from spacy_ptv2.engines.engine import Engine, get_engine
from spacy_ptv2.engines.graph_inputs import GraphForm
from spacy_ptv2.engines.openvino_graph import has_openvino
from spacy_ptv2.injection.folded import FoldedLoRA
from spacy_ptv2.serialization.models import adapter_shims

from ..adapters.test_joint_pass import EVAL, build, make_batch
from ..injection.oracles import ORACLES
from ..tiny import build_pipeline, save_tiny_backbone, train
from .test_engines import load

ROWS = [[0, 1, 2, 3]]
FOLD = {**EVAL, "engine": "torch", "fold_lora": True}
in_openvino = pytest.mark.skipif(not has_openvino(), reason="needs `pip install openvino`")
ENGINES = ["torch", pytest.param("openvino", marks=[in_openvino, pytest.mark.slow])]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch, own_backbones):
    """The cache of graphs, in a folder of its own."""
    monkeypatch.setattr(graph_cache, "_cache_folder", lambda: tmp_path / "graphs")
    monkeypatch.setattr(sizes, "_cache_folder", lambda: tmp_path / "sizes")
    return tmp_path / "graphs"


@pytest.fixture
def bert(tmp_path):
    return load(tmp_path / "bert", "bert")


def pair(backbone, **options):
    """Two encoders with equal numbers; the second folds."""
    torch.manual_seed(3)
    plain = build(backbone, {**EVAL, "engine": "torch"}, length=3)
    folding = build(backbone, {**FOLD, **options}, length=3)
    folding.load_state_dict(plain.state_dict())
    return plain, folding


def read(*encoders):
    with torch.inference_mode():
        return read_batches(encoders, [make_batch(ROWS * len(encoders))])


def change(encoder):
    """As optimizers do that write into arrays: torch counts no new version."""
    encoder.lora.weights.detach().numpy()[:] *= -1.5


@pytest.mark.parametrize("family", sorted(ORACLES))
def test_every_family_gives_the_same_states(family, tmp_path):
    """Those too that share linear layers (ALBERT), or read positions with them (DeBERTa)."""
    backbone = load(tmp_path / family, family)
    before = {name: weights.clone() for name, weights in backbone.model.state_dict().items()}
    plain, folding = pair(backbone)
    (expected,), (states,) = read(plain), read(folding)
    assert folding.folding._made is not None
    torch.testing.assert_close(states, expected, atol=1e-5, rtol=1e-5)
    assert not torch.equal(states, expected)  # another order of sums
    assert torch.equal(read(plain)[0], expected)
    assert all(torch.equal(weights, before[name]) for name, weights in backbone.model.state_dict().items())


@pytest.mark.parametrize("engine", ENGINES)
def test_lora_has_an_effect_that_is_not_stale(bert, engine):
    plain, folding = pair(bert, engine=engine)
    first = read(folding)[0]
    for encoder in (plain, folding):
        change(encoder)
    (expected,), (states,) = read(plain), read(folding)
    assert (first - expected).abs().max() > 0.01
    torch.testing.assert_close(states, expected, atol=1e-5, rtol=1e-5)


@in_openvino
def test_a_graph_of_one_task(bert, cache, monkeypatch):
    """It is kept, found again by who has the same LoRA, and holds the only copy of the folded weights."""
    plain, folding = pair(bert, engine="openvino")
    converted = []
    convert = engines.convert_graph
    monkeypatch.setattr(engines, "convert_graph", lambda program: converted.append(1) or convert(program))
    expected = read(plain)[0]
    torch.testing.assert_close(read(folding)[0], expected, atol=1e-5, rtol=1e-5)
    assert folding.folding._made is None
    form = folding.graph_form(folding.folded())
    assert not form.loras and form.folded
    assert get_engine(bert, "openvino").has_graph(bert, form)
    again = copy.deepcopy(folding)
    get_engine(bert, "openvino")._graphs.clear()
    torch.testing.assert_close(read(again)[0], expected, atol=1e-5, rtol=1e-5)
    assert len(converted) == len(list(cache.glob("*/graph.xml"))) == 1
    unfolded = build(bert, {**EVAL, "engine": "openvino"}, length=3)
    unfolded.load_state_dict(plain.state_dict())
    torch.testing.assert_close(read(unfolded)[0], expected, atol=1e-5, rtol=1e-5)
    files = [path.stat().st_size for path in cache.glob("*/graph.bin")]
    assert len(files) == 2 and max(files) < 1.1 * min(files)  # the weights that were folded are not there twice


@in_openvino
@pytest.mark.exhaustive
def test_weights_of_8_bits_have_lora_in_them(bert):
    plain, folding = pair(bert, engine="openvino-int8")
    expected = read(plain)[0]
    error = (read(folding)[0] - expected).abs().mean() / expected.abs().mean()
    assert 1e-4 < error < 0.03


def test_only_some_graphs_of_one_task_stay_in_memory(monkeypatch):
    monkeypatch.setattr(engines, "MOST_FOLDED", 2)
    engine, forms = Engine("openvino"), [GraphForm(folded=digest) for digest in "abc"]
    for form in (GraphForm(), forms[0], forms[1], forms[0], forms[2]):
        engine._graphs.setdefault(form, form)
        assert engine._take(form) is form
    assert list(engine._graphs) == [GraphForm(), forms[0], forms[2]]  # the least recently used one went


@pytest.mark.parametrize("engine", ENGINES)
def test_tasks_that_share_a_pass_are_not_folded(bert, engine):
    plain, folding = pair(bert, engine=engine)
    others = [build(bert, {**EVAL, "engine": engine}, length=3) for _ in range(2)]
    others[0].load_state_dict(plain.state_dict())
    expected, states = read(*others), read(folding, others[1])
    assert torch.equal(states[0], expected[0]) and torch.equal(states[1], expected[1])


def test_threads_with_and_without(bert):
    plain, folding = pair(bert)
    batch = make_batch(ROWS)  # threads share the generator that it is drawn from

    def run(encoder):
        with torch.inference_mode():
            return read_batches([encoder], [batch])[0]

    expected, folded = run(plain), run(folding)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(run, [plain, folding] * 20))
    for number, states in enumerate(found):
        assert torch.equal(states, folded if number % 2 else expected)


def test_gradients_and_training_see_lora_itself(bert):
    plain, folding = pair(bert)
    with torch.enable_grad():
        (states,) = read_batches([folding], [make_batch(ROWS)])
        (expected,) = read_batches([plain], [make_batch(ROWS)])
    assert torch.equal(states, expected)
    states.sum().backward()
    assert folding.lora.weights.grad.abs().max() > 0


def test_who_trains_is_folded_no_more(bert):
    plain, folding = pair(bert)
    read(folding)
    for encoder in (plain, folding):
        read_batches([encoder.train()], [make_batch(ROWS)])[0].sum().backward()
        encoder.eval()
    assert folding.folding is None
    assert torch.equal(read(folding)[0], read(plain)[0])


def test_a_copy_folds_for_itself_and_the_copy_goes_with_it(bert):
    _, folding = pair(bert)
    read(folding)
    copied = copy.deepcopy(folding)
    assert copied.folding is not folding.folding and copied.folding._made is None
    assert torch.equal(read(copied)[0], read(folding)[0])
    change(copied)
    assert not torch.equal(read(copied)[0], read(folding)[0])
    weights = weakref.ref(copied.folding._made[2][0][0].weight)
    del copied
    gc.collect()
    assert weights() is None


@pytest.mark.parametrize(("dtype", "most"), [("bfloat16", 0.02), ("float16", 0.002)])
def test_short_floats_round_once_more(tmp_path, dtype, most):
    backbone = load(tmp_path / "short", "bert", dtype=dtype)
    plain, folding = pair(backbone)
    expected = read(plain)[0]
    error = (read(folding)[0] - expected).abs().mean() / expected.abs().mean()
    assert 0 < error < most
    assert (folding.precision, plain.precision) == (f"{dtype}, LoRA folded", dtype)


def test_precision_in_float32_is_the_same(bert):
    assert pair(bert)[1].precision == "float32"


def test_a_digest_is_of_numbers_and_layers():
    lora = torch.arange(6.0).view(2, 3)
    digests = {FoldedLoRA(own).digest for own in ({0: lora}, {1: lora}, {0: lora + 1}, {0: lora.view(3, 2)})}
    assert len(digests) == 4
    assert FoldedLoRA({0: lora}).digest == FoldedLoRA({0: lora.clone()}).digest
    assert not FoldedLoRA({0: lora}).is_of({0: lora, 1: lora})


@pytest.mark.parametrize("quantization", ["int8"])
def test_a_quantized_backbone_is_left_alone(bert, monkeypatch, quantization):
    from dataclasses import replace

    _, folding = pair(bert)
    monkeypatch.setattr(bert, "source", replace(bert.source, quantization=quantization))
    assert folding.folded() is None


def test_a_pipeline_trained_saved_and_loaded(tmp_path, corpus):
    folder = save_tiny_backbone(tmp_path / "tiny", "bert")
    nlp = build_pipeline(folder, corpus, lora_rank=2, fold_lora=True, engine="torch")
    train(nlp, corpus, steps=20)
    (shim,) = adapter_shims(nlp.pipeline[0][1].model)
    assert shim.encoder.folding is None
    nlp.to_disk(tmp_path / "saved")
    loaded = spacy.load(tmp_path / "saved")
    (other,) = adapter_shims(loaded.pipeline[0][1].model)
    texts = ["Anna lives in Bonn .", "She works ."]
    expected, found = ([doc.tensor for doc in own.pipe(texts)] for own in (nlp, loaded))
    assert other.encoder.folding._made is not None
    for states, others in zip(found, expected, strict=True):
        assert states == pytest.approx(others, abs=1e-5)
    assert other.to_bytes() == shim.to_bytes()
    averages = {(other.id, "lora.weights"): other.trained_arrays()["lora.weights"] * 0 + 1}
    with loaded.use_params(averages):
        swapped = [doc.tensor for doc in loaded.pipe(texts)]
    assert abs(swapped[0] - found[0]).max() > 0.01
    assert next(doc.tensor for doc in loaded.pipe(texts)) == pytest.approx(found[0], abs=0)
