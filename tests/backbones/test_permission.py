"""Who may ask the hub: the user, by what he runs, never what he loads."""

import shutil
import socket
from pathlib import Path

import pytest
import spacy
from spacy.cli.init_pipeline import init_nlp
from spacy.util import load_config

from spacy_ptv2.backbones import registry
from spacy_ptv2.backbones.lookup import find_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.errors import BackboneError
from spacy_ptv2.packaging.summary import summarize
from spacy_ptv2.packaging.verification import verify
from spacy_ptv2.packaging.wheels import package_pipeline
from spacy_ptv2.serving import AdapterBank

from ..tiny import build_pipeline, save_tiny_backbone, small_ner_config

PERMITTED = "allow_download = true"


@pytest.fixture
def asked(monkeypatch):
    """What the hub was asked for: questions over the network count, looks into the local cache do not."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    forget_sessions()  # one that an earlier test began offline refuses by itself, and asks no network
    monkeypatch.setattr(registry, "_shared", type(registry._shared)())
    questions = []

    def refuse(self, address):
        questions.append(address)
        raise ConnectionRefusedError(address)

    def resolve(host, *arguments, **settings):
        questions.append(host)
        raise socket.gaierror(host)

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    yield questions
    forget_sessions()


def forget_sessions():
    """huggingface_hub keeps a session per thread, with the mode it was begun in."""
    from huggingface_hub.utils import _http

    (getattr(_http, "reset_sessions", None) or _http.close_session)()


@pytest.fixture
def begun_offline(monkeypatch):
    from huggingface_hub.utils import get_session

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    forget_sessions()
    get_session()


@pytest.fixture(scope="module")
def folder(tiny_folder, corpus, tmp_path_factory):
    """A pipeline whose backbone is not on this machine, and whose config permits to fetch it."""
    path = tmp_path_factory.mktemp("permission")
    home = Path(shutil.copytree(tiny_folder, path / "backbone"))
    nlp = build_pipeline(home, corpus)
    tok2vec = nlp.config["components"]["ptuning_transformer"]["model"]
    tagger = {"@architectures": "spacy.Tagger.v2", "tok2vec": tok2vec}
    nlp.add_pipe("tagger", config={"model": tagger}).add_label("NN")  # one of spaCy's, with a prompt of its own
    nlp.initialize()
    nlp.to_disk(path / "pipeline")
    config = path / "pipeline" / "config.cfg"
    changed = config.read_text().replace(str(home), "org/absent").replace("allow_download = false", PERMITTED)
    config.write_text(changed)
    assert changed.count(PERMITTED) == 2
    shutil.rmtree(home)
    save_tiny_backbone(path / "other", "bert", seed=1)
    return path / "pipeline"


def test_permission_reaches_the_network(begun_offline, asked, monkeypatch):
    """By an argument or the environment; what the tests below assert would else be true of anything."""
    with pytest.raises(BackboneError, match=r"P101.*the hub \(download failed\).*SPACY_PTV2_ALLOW_DOWNLOAD=1"):
        find_backbone(BackboneSource("org/absent", allow_download=True))
    assert asked
    asked.clear()
    with pytest.raises(BackboneError, match="P101"):
        find_backbone(BackboneSource("org/absent"))
    assert not asked
    monkeypatch.setenv("SPACY_PTV2_ALLOW_DOWNLOAD", "1")
    with pytest.raises(BackboneError, match="P101"):
        find_backbone(BackboneSource("org/absent"))
    assert asked


@pytest.mark.parametrize(
    "load",
    [
        spacy.load,
        lambda path: spacy.load(path, config={"components.ptuning_transformer.model.backbone.allow_download": True}),
        lambda path: spacy.load(path, exclude=["ptuning_transformer", "token_classifier"]),  # spaCy's component
        lambda path: summarize(spacy.load(path)),
        lambda path: package_pipeline(path, path.parent / "wheels", name="absent", version="1.0.0"),
        lambda path: AdapterBank(str(path.parent / "other")).load("task", path),
    ],
)
def test_what_is_loaded_does_not_permit(folder, asked, load):
    with pytest.raises(BackboneError, match="P101.*org/absent"):
        load(folder)
    assert not asked


def test_verify_does_not_fetch(folder, asked):
    assert any(check.outcome == "failed" and "P101" in check.detail for check in verify(str(folder)))
    assert not asked


def test_the_environment_permits_for_what_is_loaded_too(folder, asked, monkeypatch):
    monkeypatch.setenv("SPACY_PTV2_ALLOW_DOWNLOAD", "true")
    with pytest.raises(BackboneError, match=r"P101.*the hub \(download failed\)"):
        spacy.load(folder)
    assert asked


def test_initializing_what_is_loaded_does_not_fetch(tiny_folder, corpus, tmp_path, asked):
    """Not even a component that was saved before it was initialised."""
    nlp = build_pipeline(tiny_folder, corpus)
    block = {**nlp.config["components"]["ptuning_transformer"]["model"]}
    block["backbone"] = {**block["backbone"], "name": "org/absent", "allow_download": True}
    empty = spacy.blank("en")
    empty.add_pipe("ptuning_transformer", config={"model": block})
    empty.to_disk(tmp_path / "empty")
    loaded = spacy.load(tmp_path / "empty")
    with pytest.raises(BackboneError, match="P101"):
        loaded.initialize()
    assert not asked


def test_a_config_that_the_user_trains_permits_and_does_not_pass_it_on(tiny_folder, corpus, tmp_path, asked):
    key = "components.transformer.model.backbone.allow_download"
    absent = small_ner_config(tiny_folder, corpus, {key: True, "components.transformer.model.backbone.name": "org/no"})
    with pytest.raises(BackboneError, match="P101"):
        init_nlp(absent)
    assert asked
    nlp = init_nlp(small_ner_config(tiny_folder, corpus, {key: True}))
    nlp.to_disk(tmp_path / "model")
    assert (
        load_config(tmp_path / "model" / "config.cfg")["components"]["transformer"]["model"]["backbone"][
            "allow_download"
        ]
        is False
    )
    assert b'"allow_download": true' not in (tmp_path / "model" / "transformer" / "model.safetensors").read_bytes()
