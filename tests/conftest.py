"""Fixtures: tiny backbones built in code (seeded, no network), small corpora, and pipelines over them.

Tests marked `real` use the pretrained MiniLM from PyPI, those marked `gpu` a CUDA GPU, those marked
`spacy_transformers` that package, those marked `browser` Debian's chromium; each is skipped without it.
"""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import hypothesis
import pytest
import spacy
import torch
from spacy.language import Language
from spacy.tokens import DocBin
from thinc.compat import has_cupy_gpu

from benchmarks.lib import results
from spacy_ptv2.adapters import build
from spacy_ptv2.backbones import precision
from spacy_ptv2.backbones.backbone import Backbone
from spacy_ptv2.backbones.catalogue import KNOWN_PACKAGES
from spacy_ptv2.backbones.registry import get_backbone, own_backbones
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.corpora.conll import read_conll, to_docs
from spacy_ptv2.kernels.rounding import make_rounding_reproducible

from .tiny import TRAIN_CONLL, save_tiny_backbone

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"
WIKIGOLD = ROOT / "project" / "assets" / "wikigold" / "wikigold.conll.txt"
CHROMIUM = Path("/usr/bin/chromium")
MINILM = "sentence-transformers/all-MiniLM-L6-v2"

os.environ["HF_HUB_OFFLINE"] = "1"  # for the processes that tests start; the fixture below is for this one
make_rounding_reproducible()  # before anything is computed: what processes write is compared to the byte
# Shared machines are slow at times, and a test that fails should fail again.
hypothesis.settings.register_profile("here", deadline=None, derandomize=True)
hypothesis.settings.load_profile("here")


@pytest.fixture(autouse=True, scope="session")
def full_precision() -> Iterator[None]:
    """Compute in float32 on every machine, but where a test asks for other types: most compare to 1e-5."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (precision, build):
            patch.setattr(module, "is_fast_in_bfloat16", lambda device: False)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests of what is missing here, and put long modules first.

    Of workers that take module after module, none is then left alone with a long one at the end.
    """
    seconds: Counter[Path] = Counter()  # at a guess
    for item in items:
        is_long = item.get_closest_marker("slow") or item.get_closest_marker("real")
        seconds[item.path] += 10 if is_long else 0.1
    items.sort(key=lambda item: -seconds[item.path])  # each module's own order stays
    missing = {}
    if KNOWN_PACKAGES[MINILM].locate() is None:
        missing["real"] = f"needs `{KNOWN_PACKAGES[MINILM].install_command}`"
    if find_spec("spacy_transformers") is None:
        missing["spacy_transformers"] = "needs spacy-transformers: `make test-spacy-transformers` runs it"
    if not (has_cupy_gpu and torch.cuda.is_available()):
        missing["gpu"] = "needs a CUDA GPU, a CUDA build of torch, and CuPy"
    if not CHROMIUM.exists() or find_spec("playwright") is None or find_spec("axe_playwright_python") is None:
        missing["browser"] = "needs `apt-get install chromium` and `pip install 'spacy-ptv2[browser]'`"
    for marker, reason in missing.items():
        for item in items:
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


N_THREADS = torch.get_num_threads()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Compute tiny models on one thread: the others would only wait for it, and on a busy machine for long."""
    torch.set_num_threads(N_THREADS if item.get_closest_marker("real") else 1)


@pytest.fixture(autouse=True)
def no_network_no_override(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test ask the hub, and keep a developer's own override out."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.delenv("SPACY_PTV2_BACKBONE", raising=False)


@pytest.fixture(autouse=True)
def nothing_stays_loaded() -> Iterator[None]:
    """Let go of the pipelines that annotation in bulk keeps: other tests count on backbones of their own."""
    yield
    for name in ("spacy_ptv2.bulk.pipelines", "spacy_ptv2.bulk.doc_bins"):
        for function in vars(sys.modules.get(name, object)).values():
            if hasattr(function, "cache_clear"):
                function.cache_clear()


@pytest.fixture(scope="session", autouse=True)
def figures_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what benchmarks record in tests out of the repository's figures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "RESULTS", tmp_path_factory.mktemp("results"))
        yield


@pytest.fixture(name="own_backbones")
def own_backbones_here() -> Iterator[None]:
    """Let a test load backbones of its own, also where a fixture of other tests still holds one of the same weights."""
    with own_backbones():
        yield


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny uncased BERT: 3 layers, width 32, 64 positions."""
    return save_tiny_backbone(tmp_path_factory.mktemp("backbones") / "bert", "bert")


@pytest.fixture(scope="session")
def roberta_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny cased RoBERTa with a byte-level BPE tokenizer."""
    return save_tiny_backbone(tmp_path_factory.mktemp("backbones") / "roberta", "roberta")


@pytest.fixture
def tiny(tiny_folder: Path) -> Backbone:
    """The tiny BERT, loaded."""
    return get_backbone(BackboneSource(str(tiny_folder)))


@pytest.fixture(scope="session")
def train_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CoNLL file of a few sentences of our own."""
    path = tmp_path_factory.mktemp("corpus") / "train.txt"
    path.write_text(TRAIN_CONLL, encoding="utf8")
    return path


@pytest.fixture(scope="session")
def corpus(train_file: Path) -> Path:
    """The same sentences as .spacy."""
    path = train_file.with_suffix(".spacy")
    DocBin(docs=to_docs(read_conll(train_file), spacy.blank("en").vocab)).to_disk(path)
    return path


@pytest.fixture(scope="session")
def wikigold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped corpus as .spacy, one Doc per sentence."""
    path = tmp_path_factory.mktemp("wikigold") / "wikigold.spacy"
    DocBin(docs=to_docs(read_conll(WIKIGOLD), spacy.blank("en").vocab)).to_disk(path)
    return path


@pytest.fixture(scope="session")
def reader_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages of the docs take for granted. Copy it: it is for all of them."""
    from .reader import save_reader

    return save_reader(tmp_path_factory.mktemp("reader"))


@pytest.fixture
def nlp(tiny_folder: Path, corpus: Path) -> Language:
    """An initialised, untrained pipeline of our two components over the tiny BERT."""
    from .tiny import build_pipeline

    return build_pipeline(tiny_folder, corpus)
