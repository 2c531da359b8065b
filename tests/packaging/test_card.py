"""Model cards: what they say, and that nothing from outside is read as Markdown or HTML."""

import re
import zipfile
from importlib.metadata import PathDistribution
from itertools import pairwise

import pytest
import spacy
import srsly
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from spacy_ptv2.backbones.fingerprint import fingerprint_folder
from spacy_ptv2.packaging.card import MARK, code, model_card, plain
from spacy_ptv2.packaging.wheels import package_pipeline

from .conftest import unpack

NASTY = "# A\n\n| b | <img src=x onerror=alert(1)> [c](javascript:d) `e` ![f](g) *h* &lt; www.i.org \\ \u202e \x00"
META = {
    "lang": "en",
    "name": "card",
    "version": "1.0.0",
    "description": NASTY,
    "author": NASTY,
    "license": NASTY,
    "requirements": ["spacy-ptv2", NASTY],
    "pipeline": ["ptuning_transformer", NASTY],
    "performance": {
        "ents_f": 0.91236,
        NASTY: 0.5,
        "broken": float("nan"),
        "speed": 9.0,
        "tagger_loss": 3.0,
        "ents_per_type": {NASTY: {"p": 1.0, "r": 0.5, "f": None}, "PER": {"p": 0.25, "f": 0.125, NASTY: 1}},
        "other": {"a": 1},
        "text": NASTY,
    },
    "sources": [{"name": NASTY, "url": "javascript:x", "license": NASTY}, {"name": "B", "url": "https://b.org/x?y=1"}],
}


def tokens_of(markdown):
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        yield token
        yield from token.children or ()


def cells(markdown):
    return [token.content for token in tokens_of(markdown) if token.type == "inline"]


@pytest.fixture(scope="module")
def nlp(pipeline):
    return spacy.load(pipeline)


def test_what_it_says(pipeline, tiny_folder, tmp_path):
    """In the pipeline's folder and as the wheel's description."""
    wheel = package_pipeline(pipeline, tmp_path, name="told", version="1.2.3")
    site = unpack(wheel, tmp_path / "site")
    card = (site / "en_told" / "en_told-1.2.3" / "README.md").read_text(encoding="utf8")
    metadata = PathDistribution(*site.glob("*.dist-info")).metadata
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload().strip() == card.strip()
    for said in ("# en_told\n", "`en_told` `1.2.3`", 'nlp = spacy.load("en_told")', fingerprint_folder(tiny_folder),
                 "| `token_classifier` | `LOC`, `MISC`, `ORG`, `PER` |", "| `ptuning_transformer` | prompt | 768 |",
                 "| `ptuning_transformer` | lora | 1,248 |", "not in this package", "SPACY_PTV2_BACKBONE",
                 "licence | not given"):  # fmt: skip
        assert said in card
    assert str(tiny_folder.parent) not in card and f"`{tiny_folder.name}`" in card


def test_of_a_bundle(pipeline, tmp_path):
    wheel = package_pipeline(pipeline, tmp_path, name="whole", version="1.0.0", bundle=True)
    with zipfile.ZipFile(wheel) as archive:
        card = archive.read("en_whole/en_whole-1.0.0/README.md").decode()
    assert "frozen numbers, in this package" in card and "looked up on your machine" not in card


def test_scores_and_data(nlp):
    card = model_card(nlp, META, package="en_card", bundled=False)
    assert "| `ents_f` | 0.9124 |" in card
    assert re.search(r"\| `PER` \|.* 0\.1250 \| 0\.2500 \|", card)
    assert "| B |  |  | <https://b.org/x?y=1> |" in card
    for absent in ("broken", "speed", "tagger_loss", "`other`", "`text`", "nan"):
        assert absent not in card


def test_nothing_from_outside_is_markup(nlp):
    card = model_card(nlp, META, package="en_card", bundled=False)
    tokens = list(tokens_of(card))
    assert [t.content.strip() for t in tokens if t.type.startswith("html")] == [MARK]
    assert [t.attrs["href"] for t in tokens if t.type == "link_open"] == ["https://spacy.io", "https://b.org/x?y=1"]
    assert not [t for t in tokens if t.type in ("image", "em_open", "strong_open")]
    headings = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    assert headings == ["en_card", "Use", "Labels", "What was trained", "Scores", "Data"]


PIECES = (
    "*a*",
    "_a_ ",
    "`a`",
    "<b>",
    "<a:b>",
    "[x](y)",
    "![x](y)",
    "&lt;",
    "|",
    "\\",
    "\n",
    "www.a.org",
    "http://a.org",
    "~~a~~",
)


@given(st.text(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=4).map("".join))
def test_text_is_shown_as_it_is(text):
    shown = "".join(c for c in " ".join(text.split()) if c.isprintable()).strip()
    for written in (plain(text), code(text)):
        assert "\n" not in written
        table = MarkdownIt("commonmark").enable("table").parse(f"| a | b |\n| --- | --- |\n| x | {written} |")
        (inline,) = [token for token in table if token.type == "inline"][3:]
        allowed = {"text", "text_special", "code_inline", "link_open", "link_close"}
        assert {token.type for token in inline.children} <= allowed
        assert "".join(token.content for token in inline.children).strip() == shown


def test_long_lists_and_texts_end(nlp, monkeypatch):
    labels = [f"L{number}" for number in range(250)]
    monkeypatch.setattr(type(nlp), "pipe_labels", {"tagger": labels})
    card = model_card(nlp, {**META, "description": "x" * 5000}, package="en_card", bundled=False)
    assert "`L99` and 150 more |" in card and "L100" not in card
    assert "x" * 1000 + " ..." in card and "x" * 1001 not in card


@pytest.mark.parametrize(
    ("text", "stays"), [(b"# Mine\n", True), (b"\xff mine", True), (MARK.encode() + b"old", False)]
)
def test_a_readme_of_ones_own_stays(pipeline, tmp_path, text, stays):
    nlp = spacy.load(pipeline)
    nlp.to_disk(tmp_path / "trained")
    (tmp_path / "trained" / "README.md").write_bytes(text)
    site = unpack(package_pipeline(tmp_path / "trained", tmp_path, name="own", version="1.0.0"), tmp_path / "site")
    kept = (site / "en_own" / "en_own-1.0.0" / "README.md").read_bytes()
    assert (kept == text) is stays and (b"# en_own" in kept) is not stays
    assert srsly.read_json(site / "en_own" / "manifest.json")["files"]["en_own-1.0.0/README.md"]["size"] == len(kept)
