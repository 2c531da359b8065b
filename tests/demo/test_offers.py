"""What is loaded, what it offers and asks, the Python that does the same, and what is refused before it starts."""

import socket

import pytest
import spacy
from spacy.cli import app
from typer.testing import CliRunner

import spacy_ptv2.cli  # noqa: F401  (which adds the commands to spaCy's)
from spacy_ptv2.demo import server
from spacy_ptv2.demo.app import PAGE
from spacy_ptv2.demo.asking import Given, ask
from spacy_ptv2.demo.examples import MOST, examples_for
from spacy_ptv2.demo.loading import load_tasks
from spacy_ptv2.demo.offers import Ask, Offer, describe_offer
from spacy_ptv2.demo.server import address_of, check_extra, listen
from spacy_ptv2.errors import PTuningError
from spacy_ptv2.serving.annotations import to_json
from spacy_ptv2.serving.naming import name_pipelines

from ..conftest import ROOT
from ..tiny import build_pipeline
from . import kinds
from .kinds import TEXT

ASKED = {
    "news": ({"entities": {"PER", "LOC", kinds.EVIL}}, []),
    "topics": ({"classes": {"post", "work"}}, []),
    "answers": ({"answers": set()}, [Ask("questions", "questions")]),
    "roles": ({"frames": {"A0", "A1"}}, [Ask("predicates", "predicates")]),
    "tags": ({"tags": {"NN", "SP"}}, []),
    "pairs": ({"classes": {"post", "work"}}, [Ask("second_text", "second_text")]),
    "choices": ({"choices": set()}, [Ask("choices", "second_text")]),
}


@pytest.mark.parametrize("kind", ASKED)
def test_what_a_pipeline_offers_and_asks(load, kind):
    _, (offer,) = load(kind)
    labels, asks = ASKED[kind]
    assert {name: set(found) for name, found in offer.kinds.items()} == labels
    assert list(offer.asks) == asks


def test_predicates_that_are_found_are_not_asked_for(backbone):
    nlp = spacy.blank("en")
    nlp.add_pipe("predicate_finder", config=kinds.on_words(backbone))
    nlp.add_pipe("role_labeler", config={"model": kinds.task_block(backbone, "Predicate")})
    offer = describe_offer("frames", "frames", nlp)
    assert (list(offer.kinds), offer.asks) == (["frames"], ())


def test_marked_words_cannot_be_asked_for(load):
    with pytest.warns(UserWarning, match="PW44.*'pair_classifier' of 'marked'"):
        bank, (offer,) = load("marked")
    assert offer.asks == ()
    assert not bank(TEXT, "marked").cats


GIVEN = Given(
    text='peter  "opens"\tthe office\n😀 \\ and mary opens a letter\u2028',
    questions=["who ?", 'a "word" ?'],
    second_text="peter\n",
    choices=["peter", "mary"],
    predicates=["OPENS", "nothing"],
)


@pytest.mark.parametrize("kind", ASKED)
def test_the_python_gives_the_same(load, kind):
    bank, (offer,) = load(kind)
    doc = bank.make_doc(GIVEN.text, kind)
    program = ask(doc, offer, GIVEN)
    session = {}
    exec(program, session)
    annotated = bank(doc, kind)
    assert session["doc"].text == GIVEN.text
    assert close(to_json(session["doc"], kind), to_json(annotated, kind))


def close(a, b):
    """Whether two JSON values are the same up to the last digits of numbers."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(close(x, y) for x, y in zip(a, b, strict=True))
    return a == pytest.approx(b, abs=1e-4) if isinstance(a, float) else a == b


def test_two_lines_are_enough_where_nothing_is_asked(load):
    bank, (offer,) = load("news")
    program = ask(bank.make_doc("peter", "news"), offer, Given(text="peter"))
    assert program == f'import spacy\n\nnlp = spacy.load("{offer.pipeline}")\ndoc = nlp("peter")'


def test_names_of_pipelines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b").mkdir()
    (tmp_path / "model-best").mkdir()
    named = name_pipelines(["en_ptv2_ner", "model-best", "other=model-best", "a=b", " last =x/y=z/"])
    assert named == {
        "en_ptv2_ner": "en_ptv2_ner", "model-best": "model-best", "other": "model-best", "a=b": "a=b", "last": "x/y=z/"
    }  # fmt: skip
    assert name_pipelines(["."]) == {tmp_path.name: "."}
    with pytest.raises(PTuningError, match="P790.*'model-best': model-best and x/model-best.*NAME=PIPELINE"):
        name_pipelines(["model-best", "x/model-best"])
    for wrong in ("=x", "x=", " =x", "="):
        with pytest.raises(PTuningError, match="P794"):
            name_pipelines([wrong])


def test_what_cannot_be_loaded(tmp_path, tiny_folder, corpus, folder_of):
    with pytest.raises(
        PTuningError, match=r"P792.*'no_such_pipeline'.*E050.*Expected an installed package or the folder"
    ):
        load_tasks({"a": "no_such_pipeline"})
    (tmp_path / "config.cfg").write_text("[nlp]\n")
    with pytest.raises(PTuningError, match="P792"):
        load_tasks({"a": str(tmp_path)})
    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(PTuningError, match="P714"):
        load_tasks({"a": str(tmp_path / "blank")})
    with pytest.raises(PTuningError, match="P714"):
        load_tasks({"a": folder_of("tags"), "b": str(tmp_path / "blank")})
    build_pipeline(tiny_folder, corpus).to_disk(tmp_path / "over_another_backbone")
    with pytest.raises(PTuningError, match="P715"):
        load_tasks({"a": folder_of("tags"), "b": str(tmp_path / "over_another_backbone")})


def test_examples_are_of_what_is_offered():
    def offer(lang, kinds, *asks):
        return Offer("a", "a", lang, dict.fromkeys(kinds, ()), tuple(Ask(what, what) for what in asks))

    assert all("questions" in example for example in examples_for([offer("en", ["answers"], "questions")]))
    pairs = examples_for([offer("en", ["classes"], "second_text")])
    assert pairs and all("second_text" in example for example in pairs)
    everything = examples_for([offer("en", ["entities", "tags", "frames", "classes", "answers", "choices"])])
    assert len(everything) == MOST
    german = examples_for([offer("de", ["entities"])])
    assert german and not any("Lovelace" in example["text"] for example in german)
    assert examples_for([offer("zz", ["entities"])]) == []
    for example in [*everything, *pairs]:
        Given(**example)


def test_without_the_extra_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(server, "find_spec", lambda name: None)
    with pytest.raises(PTuningError, match=r"P791.*fastapi and uvicorn.*`pip install 'spacy-ptv2\[serve\]'`"):
        check_extra()


def test_where_it_listens():
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        assert address_of(first) == f"http://127.0.0.1:{port}"
        with pytest.raises(PTuningError, match=f"P793.*127.0.0.1, port {port}.*--port"):
            listen("127.0.0.1", port)
    with pytest.raises(PTuningError, match="P793"):
        listen("no such host", 0)
    if socket.has_ipv6:
        with listen("::1", 0) as third:
            assert address_of(third).startswith("http://[::1]:")


def run(*arguments):
    result = CliRunner().invoke(app, ["ptv2", "demo", *arguments])
    return result.exit_code, " ".join(result.output.split())


def test_the_command_fails_before_it_listens(monkeypatch, folder_of):
    monkeypatch.setattr(server, "listen", lambda *address: pytest.fail("it listens"))
    code, output = run("no_such_pipeline")
    assert code == 1 and "[P792]" in output
    code, output = run(folder_of("tags"), folder_of("tags"))
    assert code == 1 and "[P790]" in output
    monkeypatch.setattr(server, "find_spec", lambda name: None)
    code, output = run(folder_of("tags"))
    assert code == 1 and "pip install 'spacy-ptv2[serve]'" in output


def test_the_command_serves(monkeypatch, folder_of):
    served = []
    monkeypatch.setattr(server, "run", lambda app, listening: served.append(app) or listening.close())
    code, output = run(f"words={folder_of('tags')}", folder_of("marked"), "--port", "0")
    assert code == 0, output
    assert "Open http://127.0.0.1:" in output and "PW44" in output and "passwords" not in output
    code, output = run(folder_of("tags"), "--port", "0", "--host", "0.0.0.0")
    assert code == 0 and "Whoever can reach 0.0.0.0" in output
    assert [app.is_local for app in served] == [True, False]


def test_the_page_is_part_of_the_package():
    assert '"spacy_ptv2.demo.page" = ["*"]' in (ROOT / "pyproject.toml").read_text(encoding="utf8")
    assert '"spacy_ptv2.demo.page"' in (ROOT / "setup.py").read_text(encoding="utf8")
    assert {"index.html", "page.css", "main.js"} <= {path.name for path in PAGE.iterdir() if path.is_file()}


@pytest.mark.parametrize("width", [1280, 400])
def test_the_pictures_of_the_guide_are_small(width):
    data = (ROOT / "docs" / "images" / f"demo_{width}.png").read_bytes()
    assert (data[:4], int.from_bytes(data[16:20], "big")) == (b"\x89PNG", width)
    assert len(data) < 200_000
