"""`spacy ptv2 push` and `spacy_ptv2.load` against a stand-in for a hub, with huggingface_hub's own client."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import spacy
from typer.testing import CliRunner

import spacy_ptv2
from spacy_ptv2.cli import app
from spacy_ptv2.errors import FormatError, PTuningError
from spacy_ptv2.packaging import hub as own
from spacy_ptv2.packaging.sample import describe

from .hub import serving

TOKEN = "hf_secret_of_the_user"
REPOSITORY = "somebody/en_news"
TEXT = "Peter Hansen works in New York ."


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub on this machine, an empty cache, permission and a token."""
    with serving(monkeypatch, tmp_path / "cache", TOKEN) as hub:
        yield hub


def push(pipeline, *options):
    arguments = ["push", pipeline, REPOSITORY, "--name", "news", "--version", "1.0.0", *options]
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "1000"})


@pytest.fixture(scope="module")
def content():
    """What the first push of this module uploaded."""
    return {}


@pytest.fixture
def pushed(hub, pipeline, content):
    """The files of a repository after a push."""
    if not content:
        result = push(pipeline)
        assert result.exit_code == 0, result.output
        content.update(hub.repositories[REPOSITORY])
    hub.repositories[REPOSITORY] = dict(content)
    return hub.repositories[REPOSITORY]


def test_what_is_pushed(pushed, hub, pipeline):
    paths = {path for path in pushed if not path.startswith("en_news/en_news-1.0.0/")}
    assert paths == {".gitattributes", "README.md", "en_news/manifest.json", "en_news/meta.json", "en_news/sample.json"}
    assert all(TOKEN.encode() not in data for data in pushed.values())
    card = pushed["README.md"].decode()
    assert card.startswith('---\nlibrary_name: "spacy"\n') and "# en_news" in card and "spacy_ptv2.load(" in card
    result = push(pipeline)
    assert result.exit_code == 0 and hub.commit_of(REPOSITORY) in result.stdout and TOKEN not in result.output


def test_it_loads_by_its_id_and_then_without_network(pushed, hub, pipeline, monkeypatch):
    expected = describe(spacy.load(pipeline)(TEXT))
    assert describe(spacy_ptv2.load(REPOSITORY)(TEXT)) == expected != []
    commit = hub.commit_of(REPOSITORY)
    assert describe(spacy_ptv2.load(REPOSITORY, revision=commit)(TEXT)) == expected
    hub.close()
    monkeypatch.delenv("SPACY_PTV2_ALLOW_DOWNLOAD")
    hub.seen.clear()
    for revision in (None, commit):
        assert describe(spacy_ptv2.load(REPOSITORY, revision=revision)(TEXT)) == expected
    assert not hub.seen


def test_a_new_version_replaces_the_old(pushed, hub, pipeline):
    spacy_ptv2.load(REPOSITORY)
    assert push(pipeline, "--version", "2.0.0").exit_code == 0
    assert not [path for path in pushed if "1.0.0" in path]
    assert spacy_ptv2.load(REPOSITORY).meta["version"] == "2.0.0"


def test_without_permission_nothing_is_fetched(pushed, hub, monkeypatch):
    monkeypatch.delenv("SPACY_PTV2_ALLOW_DOWNLOAD")
    hub.seen.clear()
    with pytest.raises(PTuningError, match=r"P800.*somebody/en_news.*SPACY_PTV2_ALLOW_DOWNLOAD=1"):
        spacy_ptv2.load(REPOSITORY)
    assert not hub.seen
    assert spacy_ptv2.load(REPOSITORY, allow_download=True).meta["name"] == "news"


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('ran')",))


@pytest.mark.parametrize(
    ("path", "data", "code"),
    [
        ("en_news/en_news-1.0.0/token_classifier/weights.pkl", b"", "P803.*weights.pkl.*"),
        ("en_news/en_news-1.0.0/token_classifier/model", pickle.dumps(Evil(), protocol=4), "P803.*pickle.*model"),
        ("en_news/en_news-1.0.0/token_classifier/model", b"PK\x03\x04 of torch", "P803.*pickle.*model"),
        ("en_news/__init__.py", b"raise SystemExit('ran')", "P803.*__init__.py"),
        ("setup.py", b"", "P803.*setup.py"),
        ("pytorch_model.bin", b"", "P803.*pytorch_model.bin"),
        ("en_news/en_news-1.0.0/tokenizer", b"{}", "P602.*tokenizer"),
        ("en_news/en_news-1.0.0/more.json", b"{}", "P602.*more.json"),
        ("en_news/manifest.json", b"{}", "P601"),
        ("en_other/manifest.json", b"{}", "P802.*2 folders"),
    ],
)
def test_damaged_and_foreign_files_are_refused(pushed, monkeypatch, path, data, code):
    pushed[path] = data
    monkeypatch.setattr(own, "load_model_from_path", lambda path: pytest.fail("spaCy must not read this"))
    with pytest.raises(FormatError, match=code):
        spacy_ptv2.load(REPOSITORY)


def test_a_file_that_is_foreign_in_the_cache_is_refused(pushed, tmp_path, monkeypatch):
    spacy_ptv2.load(REPOSITORY)
    (package,) = (tmp_path / "cache").glob("models--*/snapshots/*/en_news")
    (package / "late.pkl").write_bytes(b"")
    monkeypatch.delenv("SPACY_PTV2_ALLOW_DOWNLOAD")
    with pytest.raises(FormatError, match="P803.*late.pkl"):
        spacy_ptv2.load(REPOSITORY)


def test_a_manifest_without_a_pipeline_is_refused(pushed):
    for path in list(pushed):
        if path.startswith("en_news/en_news-1.0.0/"):
            del pushed[path]
    manifest = json.loads(pushed["en_news/manifest.json"])
    manifest["files"] = {name: about for name, about in manifest["files"].items() if "/" not in name}
    pushed["en_news/manifest.json"] = json.dumps(manifest).encode()
    with pytest.raises(FormatError, match="P802.*0 folders with a config.cfg"):
        spacy_ptv2.load(REPOSITORY)


def test_too_much_is_not_downloaded(pushed, hub, monkeypatch):
    monkeypatch.setattr(own, "MOST_FILES", 3)
    hub.seen.clear()
    with pytest.raises(FormatError, match="P805.*files of together"):
        spacy_ptv2.load(REPOSITORY)
    assert not [path for _, path, _ in hub.seen if "/resolve/" in path]


def test_a_repository_of_something_else_is_not_overwritten(hub, pipeline):
    hub.repositories[REPOSITORY] = before = {"weights.gguf": b"of somebody"}
    result = push(pipeline)
    assert result.exit_code == 1 and "P803" in result.stderr and before == {"weights.gguf": b"of somebody"}


def test_what_the_hub_refuses(hub, pipeline, monkeypatch):
    with pytest.raises(PTuningError, match="P801.*somebody/en_news"):
        spacy_ptv2.load(REPOSITORY)
    hub.token = "another"
    result = push(pipeline)
    assert result.exit_code == 1 and "P801" in result.stderr and "HF_TOKEN" in result.stderr
    assert TOKEN not in result.output
    hub.close()
    with pytest.raises(PTuningError, match="P801"):
        spacy_ptv2.load(REPOSITORY)


@pytest.mark.parametrize("name", ["", "news", "a/b/c", "../x", "/models/x", "a/b\n", 3])
def test_what_is_no_id_is_refused(hub, name):
    with pytest.raises(PTuningError, match="P804.*OWNER/NAME"):
        spacy_ptv2.load(name)
    assert not hub.seen


def test_a_pickle_in_a_pipeline_is_not_pushed(hub, pipeline, tmp_path):
    folder = Path(shutil.copytree(pipeline, tmp_path / "copied"))
    (folder / "extra").write_bytes(pickle.dumps([1, 2], protocol=4))
    result = push(folder)
    assert result.exit_code == 1 and "P803" in result.stderr and not hub.seen
