"""`spacy ptv2 data-report`, as a command."""

import spacy
from click import unstyle
from spacy.tokens import DocBin, Span
from typer.testing import CliRunner

from spacy_ptv2.backbones.loading import load_tokenizer
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.cli import app

from ..conftest import MINILM, ROOT


def run(*arguments, exit_code=0):
    result = CliRunner().invoke(app, ["data-report", *map(str, arguments)])
    assert result.exit_code == exit_code, f"{result.output}\n{result.exception!r}"
    assert "Traceback" not in result.output
    return [" ".join(line.split()) for line in unstyle(result.output).splitlines()]


def write(path, *texts):
    """Each text is a Doc whose first three characters are a person."""
    nlp = spacy.blank("en")
    docs = [nlp.make_doc(text) for text in texts]
    for doc in docs:
        doc.set_ents([Span(doc, 0, 1 + (doc[1].is_space), label="PER")])
    path.parent.mkdir(exist_ok=True)
    DocBin(docs=docs).to_disk(path)
    return path


def test_corpora_side_by_side(train_file, tmp_path):
    dev = write(tmp_path / "dev.spacy", "Bob\n left us", *(f"Ann saw {number} ships" for number in range(6)))
    text = " ".join(run(train_file, dev))  # long lines are wrapped
    for line in (
        "train dev", "documents 3 7", "sentences 3 unknown", "entities 5 7", "of 1 token 3 6", "of 2 tokens 2 1",
        "of more 0 0", "label train dev", "PER 2 7", "MISC 1 0", "✔ Nothing doubtful",
        "⚠ Entities that start or end with white space, as no prediction does: 1", r"document 0: 'Bob\n '",
        "⚠ train: few entities to learn from: PER 2, LOC 1, MISC 1, ORG 1",
        "⚠ Labels that dev does not test: LOC, MISC, ORG",
    ):  # fmt: skip
        assert f" {line} " in text + " "


def test_examples_are_few_and_short(tmp_path):
    long = "Ann " + "walks " * 100
    lines = run(write(tmp_path / "train.spacy", *[long] * 6))
    assert "⚠ Documents that were there before, annotated alike: 5" in lines
    (example, *_), more = [line for line in lines if line.startswith("document ")], lines[-1]
    assert len(example) < 110 and example.endswith("…'")
    assert more == "and 2 more"
    assert sum(line.startswith("document ") for line in lines) == 3


def test_what_both_have(tmp_path):
    train = write(tmp_path / "a" / "data.spacy", "Ann left", "Bob left")
    lines = run(train, write(tmp_path / "b" / "data.spacy", "Bob left"))
    assert "too: 1 (100.0 %) document 0: 'Bob left'" in " ".join(lines)  # a long path is wrapped
    good = run(train, write(tmp_path / "b" / "data.spacy", "Eve left"))
    assert good[-1] == "✔ The same labels, and no text in common"


def test_the_tokenizer_is_that_of_the_config(tmp_path):
    corpus = tmp_path / "train.spacy"
    doc = spacy.blank("en").make_doc("Don't ship")
    doc.set_ents([Span(doc, 0, 1, label="PER")])
    DocBin(docs=[doc]).to_disk(corpus)
    finding = 'document 0: "Do: Don\'t"'
    assert finding not in run(corpus)
    assert finding in run(corpus, "--lang", "xx")
    config = (ROOT / "configs" / "ner.cfg").read_text()
    for lang in ("en", "xx"):
        (tmp_path / "ner.cfg").write_text(config.replace('lang = "en"', f'lang = "{lang}"'))
        assert (finding in run(corpus, "--config", tmp_path / "ner.cfg")) == (lang == "xx")


def test_refusals(corpus, tmp_path):
    (tmp_path / "broken.spacy").write_bytes(b"no corpus")
    assert "P430" in " ".join(run(tmp_path / "broken.spacy", exit_code=1))
    run(corpus, "--config", ROOT / "configs" / "ner.cfg", "--lang", "en", exit_code=2)
    run(corpus, "--lang", "klingon", exit_code=2)
    run(tmp_path / "none.spacy", exit_code=2)


def test_evaluation_corpora_are_compared_with_each_other_too(tmp_path):
    paths = [write(tmp_path / f"{name}.spacy", text) for name, text in (("train", "Ann left"), ("dev", "Bob left"))]
    lines = run(*paths, write(tmp_path / "test.spacy", "Bob  left", "Eve left"))
    assert lines[-2:] == ["⚠ Documents that are in dev too: 1 (50.0 %)", "document 0: 'Bob left'"]


def test_other_tasks(tmp_path):
    path = tmp_path / "intents.csv"
    path.write_text("text,label\nWhere is my card?,card\nI lost it.,lost\nI lost it,lost\n", encoding="utf8")
    lines = run(path, "--task", "textcat")
    assert "with classes 3" in lines and "lost 2" in lines
    assert "⚠ intents: few classes to learn from: lost 2, card 1" in lines
    assert not any("entities" in line for line in lines)
    assert "P042" in " ".join(run(path, "--task", "textcats", exit_code=1))


def test_lengths_in_word_pieces(corpus, tiny_folder, tmp_path):
    """A word that the tiny backbone does not know is spelled in letters."""
    assert not any("word pieces" in line for line in run(corpus))
    write(tmp_path / "a.spacy", "Qq left")
    lines = run(tmp_path / "a.spacy", "--backbone", tiny_folder)
    tokenizer = load_tokenizer(BackboneSource(str(tiny_folder)))
    n_pieces = len(tokenizer("Qq left", add_special_tokens=False)["input_ids"])
    assert n_pieces > 2
    assert f"word pieces {n_pieces}" in lines and f"in the longest {n_pieces}" in lines
    config = tmp_path / "small.cfg"
    config.write_text((ROOT / "configs" / "ner.cfg").read_text().replace(MINILM, str(tiny_folder)))
    assert f"word pieces {n_pieces}" in run(tmp_path / "a.spacy", "--config", config)
    config.write_text((ROOT / "configs" / "ner.cfg").read_text().replace(MINILM, "not/here"))
    text = " ".join(run(tmp_path / "a.spacy", "--config", config))  # a config may be for another machine
    assert "⚠ Lengths are not in word pieces: the config's backbone cannot be read here" in text
    assert "P101" in " ".join(run(tmp_path / "a.spacy", "--backbone", "not/here", exit_code=1))


def test_page(tmp_path):
    html = tmp_path / "page.html"
    evil = "<script>alert(1)</script>"
    train = write(tmp_path / "train.spacy", f"Ann {evil}", f"Ann {evil}", "Bob\n left")
    run(train, write(tmp_path / "<b>dev.spacy", f"Ann {evil}"), "--html", html)
    page = html.read_text(encoding="utf8")
    assert evil not in page and "<b>dev" not in page
    assert "Ann &lt;script&gt;alert(1)&lt;/script&gt;" in page and "&lt;b&gt;dev" in page
    assert "Documents that were there before, annotated alike: 1" in page
    assert "Entities that start or end with white space, as no prediction does: 1" in page
    assert "Documents that are in train too: 1 (100.0 %)" in page
    assert "P785" in " ".join(run(train, "--html", tmp_path, exit_code=1))


def test_a_treebank(tmp_path):
    treebank = ROOT / "tests" / "data" / "en_ewt-ud.conllu"
    text = " ".join(run(treebank, "--html", tmp_path / "page.html"))
    for line in ("documents 12", "sentences 12", "tokens 87", "tokens with a head 87", "✔ Nothing doubtful"):
        assert f" {line} " in text + " "
    assert "tokens with a tag" in (tmp_path / "page.html").read_text(encoding="utf8")
    folder = tmp_path / "treebank"
    folder.mkdir()
    content = treebank.read_text(encoding="utf8")
    (folder / "dev.conllu").write_text(f"# a line alone\n\n\n\n{content}", encoding="utf8")
    (folder / "train.conllu").write_bytes(content.replace("\n", "\r\n").encode("utf8"))
    assert "documents 24" in run(folder)
    (folder / "train.conllu").write_text(content.replace("2\tnmod:poss", "x\tnmod:poss"), encoding="utf8")
    message = " ".join(run(folder, exit_code=1))
    assert "P850" in message and "train.conllu" in message.replace(" ", "") and "'x'" in message
