"""Files of many kinds, as the documentation of each tool shows them, in our own words: read rightly or named."""

import warnings
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.vocab import Vocab

from spacy_ptv2.corpora.documents import count_corpus, to_docs
from spacy_ptv2.corpora.files import read_corpus
from spacy_ptv2.corpora.options import Misaligned, build_file_options
from spacy_ptv2.corpora.schemes import ALIASES, SCHEMES
from spacy_ptv2.corpora.spans import blank_tokenize
from spacy_ptv2.errors import CorpusError

from ..conftest import ROOT
from .kinds import BROKEN, ENTITIES, NAMED, POS, READ, WORDS

BLANK = blank_tokenize("en")


def read(path):
    corpus = read_corpus(path, build_file_options(), lambda: BLANK)
    return corpus, list(to_docs(corpus.documents, Vocab()))


@pytest.mark.parametrize("name", READ)
def test_a_file_with_entities_is_read(tmp_path, name):
    content, said = READ[name]
    path = tmp_path / name
    path.write_bytes(content.encode("utf8"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        corpus, docs = read(path)
    assert [(ent.text, ent.label_) for doc in docs for ent in doc.ents] == ENTITIES
    words = [token.text for doc in docs for token in doc]
    assert words[:8] == WORDS[0] + WORDS[1]
    assert said in corpus.layouts[path]
    is_text = "spacy.blank" in corpus.layouts[path]
    assert docs[0].has_annotation("SENT_START") != is_text
    if not is_text:
        assert [len(doc) for doc in docs] == [5, 3]
    has_pos = "part of speech" in said or "conll2012" in name or name == "spacy2.json"
    if has_pos:
        assert [token.tag_ for doc in docs for token in doc] == POS[0] + POS[1]


@pytest.mark.parametrize("name", NAMED)
def test_a_file_without_entities_is_named(tmp_path, name):
    content, said = NAMED[name]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf8"))
    with pytest.raises(CorpusError, match=f"P010.*{said}"):
        read(path)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_with_its_line(tmp_path, name):
    content, message = BROKEN[name]
    (tmp_path / name).write_text(content, encoding="utf8")
    with pytest.raises(CorpusError, match=message):
        read(tmp_path / name)


@pytest.mark.parametrize("suffix", ["txt", "csv", "json", "jsonl", "ann", "conll"])
@pytest.mark.parametrize(
    "start", ["", "O", "[", "{", '{"text": 1, "', "<", "#begin document", "Anna\tO\n", "|O", "T1\t"]
)
def test_no_message_quotes_more_than_a_line(tmp_path, start, suffix):
    path = tmp_path / f"x.{suffix}"
    path.write_text(start + "\n".join(["lorem ipsum " * 400] * 3), encoding="utf8")
    with pytest.raises(CorpusError) as caught:
        read(path)
    assert str(caught.value).count("lorem ipsum") <= 10
    assert "\n" not in str(caught.value)


def test_a_folder_is_read_as_its_files(tmp_path):
    for name in ("spert.json", "conll2003.txt", "prodigy.jsonl"):
        (tmp_path / "b").mkdir(exist_ok=True)
        (tmp_path / "b" / name).write_text(READ[name][0], encoding="utf8")
    (tmp_path / "a.txt").write_text("Ole S-PER\n", encoding="utf8")
    for passed_over in (".hidden", "README.md", "LICENSE"):
        (tmp_path / passed_over).write_text("not a corpus", encoding="utf8")
    corpus, docs = read(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in corpus.layouts] == [
        "a.txt",
        "b/conll2003.txt",
        "b/prodigy.jsonl",
        "b/spert.json",
    ]
    assert docs[0].ents[0].text == "Ole"
    assert count_corpus(corpus.documents).entities == 1 + 3 * len(ENTITIES)


def test_a_folder_without_files_and_a_folder_with_another_file(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.txt").write_text("Ole S-PER\n", encoding="utf8")
    with pytest.raises(CorpusError, match="P020"):
        read(tmp_path)
    (tmp_path / "a.txt").write_text("Ole S-PER\n", encoding="utf8")
    (tmp_path / "z.json").write_text('["a"]', encoding="utf8")
    with pytest.raises(CorpusError, match=r"P010.*z\.json"):
        read(tmp_path)


def test_the_documentation_names_every_scheme_and_choice():
    text = (ROOT / "docs" / "reference" / "formats.md").read_text(encoding="utf8")
    assert [name for name in (*SCHEMES, *ALIASES) if name not in text] == []
    assert [name for name in get_args(Misaligned) if f"`{name}`" not in text] == []


CONTENTS = [
    content.encode("utf8") if isinstance(content, str) else content
    for content, _ in [*READ.values(), *NAMED.values(), *BROKEN.values()]
    if len(content) < 5_000
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_damaged_file_is_read_or_refused(tmp_path_factory, data):
    """No error but ours, whatever bytes change."""
    content = bytearray(data.draw(st.sampled_from(CONTENTS)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content)))
        length = data.draw(st.sampled_from([0, 1, 2, 9, 60]))
        content[at : at + length] = data.draw(
            st.sampled_from(
                [b"", b"\n", b"\t", b'"', b"[", b"]", b"{", b"null", b"-1", b"1e9", b"#", b"O", b"\x00", b"\xff"]
            )
        )
    suffix = data.draw(st.sampled_from([".txt", ".csv", ".json"]))
    path = tmp_path_factory.mktemp("damaged") / f"x{suffix}"
    path.write_bytes(bytes(content))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            corpus = read_corpus(path, build_file_options(), lambda: BLANK)
        except CorpusError:
            return
    for doc in to_docs(corpus.documents, Vocab()):
        assert all(not ent[0].is_space and not ent[-1].is_space for ent in doc.ents)
