"""The panel: each corpus cut as its form says, and one score over all of them."""

import re

import pytest
import spacy
import typer
from spacy.tokens import DocBin

from benchmarks.accuracy import cells, panel
from spacy_ptv2.comparison.methods import FULL, METHODS, PLAIN
from spacy_ptv2.comparison.outcome import Job, Outcome

from ..conftest import DATA, ROOT

VALUES = {"step": 1, "scores": {}, "of_backbone": 10, "n_bytes": 9, "n_steps": 2, "words": 5, "parameters": {"head": 1}}


def save(folder, job, dev, tests, *seconds):
    """Save a run whose scores rise evenly up to `dev`."""
    curve = [(step, passed, dev * (step + 1) / len(seconds)) for step, passed in enumerate(seconds)]
    (folder / job.name).mkdir(parents=True)
    job.to_disk(folder / job.name)
    Outcome(dev=dev, tests=tests, seconds=9.0, curve=curve, **VALUES).to_disk(folder / job.name)


@pytest.fixture
def compared(monkeypatch, tmp_path):
    """Cells and settings of the comparisons, which are not made: two seeds each are there."""
    calls = {}

    def compare_cell(name, cell, data, output, *, methods, seeds, jobs, settings):
        calls[name] = (cell, settings)
        n_tests = 2 if cell.documents else 1
        for seed, ours in enumerate((0.5, 0.7)):
            save(output / name, Job("prompt+lora", seed), 0.8, [ours, 0.4][:n_tests], 10.0, 20.0)
            save(output / name, Job(PLAIN, seed, 1e-4), 0.4, [0.5, 0.5][:n_tests], 20.0, 40.0)
        return output / name

    monkeypatch.setattr(panel, "compare_cell", compare_cell)
    return calls


def test_rows_and_the_mean_difference(compared, tmp_path, capsys):
    panel.main(tmp_path, tmp_path / "out", cells="conll03,btc-100", results=tmp_path / "panel.md")
    printed = capsys.readouterr().out
    rows = [re.split(r"\s{2,}", line.strip()) for line in printed.splitlines() if "conll03" in line]
    ours, plain = "deep prompts + LoRA", f"{METHODS[PLAIN].label}, rate 0.0001"
    assert rows == [
        ["conll03, sentences", "2000", "500", ours, "80.0 80.0", "50.0 70.0", "+10.0", "0.25 0.25"],
        ["conll03, documents", "2000", "500", ours, "80.0 80.0", "40.0 40.0", "-10.0", "0.25 0.25"],
        ["conll03, sentences", "2000", "500", plain, "40.0 40.0", "50.0 50.0"],
        ["conll03, documents", "2000", "500", plain, "40.0 40.0", "50.0 50.0"],
    ]
    # +10, -10 and +10 of btc-100
    assert "mean of 3: +3.3 ± 6.7 (standard error over these); lowest -10.0." in printed
    assert printed.strip() in (tmp_path / "panel.md").read_text(encoding="utf8")
    assert compared["btc-100"][0].cuts == {"train": 100, "dev": 500, "test": 1000}


def test_the_full_form_takes_whole_test_sets_and_other_settings(compared, tmp_path):
    panel.main(tmp_path, tmp_path / "out", form="full", cells="conll04,ewt", config=tmp_path / "changed.cfg")
    cell, settings = compared["conll04"]
    assert (cell.steps, cell.cuts) == (3000, {"train": 8000, "dev": 1000})
    assert (cell.config, settings) == (str(tmp_path / "changed.cfg"), {})
    cell, _ = compared["ewt"]
    assert (cell.config, cell.cuts) == ("tagging_parsing", {"train": 800, "dev": 100})


def test_other_weights_only_where_they_are(compared, tmp_path, capsys):
    panel.main(tmp_path, tmp_path / "out", cells="turku_one")
    printed = capsys.readouterr().out
    assert "turku_one is left out" in printed
    assert "No corpus has both" in printed
    panel.main(tmp_path, tmp_path / "out", cells="turku_one", multilingual=tmp_path)
    assert compared["turku_one"][1] == {"components.transformer.model.backbone.path": tmp_path}


def test_an_unknown_form(tmp_path):
    with pytest.raises(typer.BadParameter, match="cheap or full, got quick"):
        panel.main(tmp_path, tmp_path, form="quick")


def test_what_was_never_passed_has_no_time(tmp_path):
    save(tmp_path, Job("prompt+lora", 0), 0.3, [0.5], 10.0)
    save(tmp_path, Job(PLAIN, 0, 1e-4), 0.4, [0.5], 20.0)
    save(tmp_path, Job(FULL, 0, 1e-4), 0.4, [0.6], 10.0)
    finished = panel.read_comparison(tmp_path)
    rows = list(panel.rows_of("btc", panel.CELLS["btc"], finished))
    assert [(row[-2], row[-1]) for row in rows] == [("+0.0", "inf"), ("+10.0", "0.50"), ("", "")]


def test_cells_name_shipped_configs():
    assert set(panel.CHEAP.split(",")) <= set(panel.CELLS)
    for cell in panel.CELLS.values():
        assert (ROOT / "configs" / f"{cell.config}.cfg").is_file()


def test_documents_of_one_file_and_text_of_several(tmp_path, monkeypatch):
    """Sections are joined; the test set is converted by sentences and as whole documents."""
    calls = []
    monkeypatch.setattr(cells, "run", lambda arguments: calls.append([str(text) for text in arguments]))
    text = (DATA / "bc5cdr.tsv").read_text(encoding="utf8")
    for name in ("a", "b", "dev", "test"):
        (tmp_path / f"{name}.tsv").write_text(text, encoding="utf8")
    cell = cells.Cell("ner", ("a.tsv+b.tsv", "dev.tsv", "test.tsv"), 1, documents=True)
    cells.convert(cell, tmp_path, tmp_path / "out")
    assert (tmp_path / "out" / "joined-a.tsv").read_text(encoding="utf8") == f"{text}\n{text}"
    assert [call[4:] for call in calls] == [
        [str(tmp_path / "out" / "joined-a.tsv"), str(tmp_path / "out" / "train.spacy")],
        [str(tmp_path / "dev.tsv"), str(tmp_path / "out" / "dev.spacy")],
        [str(tmp_path / "test.tsv"), str(tmp_path / "out" / "test.spacy")],
        [str(tmp_path / "test.tsv"), str(tmp_path / "out" / "test-documents.spacy"), "--granularity", "document"],
    ]


def test_both_forms_of_a_test_set_are_cut_and_scored(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(cells, "run", calls.append)
    folder = tmp_path / "corpora" / "conll03"
    folder.mkdir(parents=True)
    docs = [spacy.blank("en")(word) for word in ("one", "two", "three", "four")]
    for part in (*cells.PARTS, cells.DOCUMENTS):
        DocBin(docs=docs).to_disk(folder / f"{part}.spacy")
    cell = cells.Cell("ner", (), 7, cuts={"test": 2}, documents=True)
    cells.compare_cell("conll03", cell, tmp_path, tmp_path, methods="probe", seeds="0", settings={"nlp.lang": "fi"})
    (call,) = calls
    given = [str(argument) for argument in call]
    assert given[given.index("compare") + 2] == str(tmp_path / "conll03")
    tests = [given[place + 1] for place, text in enumerate(given) if text == "--test"]
    assert tests == [str(folder / "test-2.spacy"), str(folder / "test-documents-2.spacy")]
    assert [doc.text for doc in DocBin().from_disk(tests[1]).get_docs(spacy.blank("en").vocab)] == ["one", "three"]
    assert given[given.index("--nlp.lang") + 1] == "fi"
