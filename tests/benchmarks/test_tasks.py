"""Each cell of the comparison of tasks: its files become corpora, and `compare` is asked for what there is."""

import json
import runpy

import pytest
import spacy
import typer
from spacy.cli import app
from spacy.tokens import DocBin
from typer.testing import CliRunner

import spacy_ptv2.cli  # noqa: F401  (which adds the commands to spaCy's)
from benchmarks.accuracy import cells, tasks
from spacy_ptv2.comparison.methods import METHODS

from ..conftest import DATA, ROOT

SPERT = [{"tokens": ["Peter", "sings"], "entities": [{"type": "Peop", "start": 0, "end": 1}], "relations": []}]
PAIR = {"premise": "Peter sings.", "hypothesis": "Mary sings.", "label": "not_entailment"}
ROWS = [{**PAIR, "premise": f"Peter sings {n} songs."} for n in range(20)]
RAW = {
    "conll04": json.dumps(SPERT),
    "bc5cdr": (DATA / "bc5cdr.tsv").read_text(encoding="utf8"),
    "ewt": (DATA / "en_ewt-ud.conllu").read_text(encoding="utf8"),
    "srl": (DATA / "propbank_ewt.txt").read_text(encoding="utf8"),
    "banking77": (DATA / "banking77.csv").read_text(encoding="utf8"),
    "rte": "\n".join(map(json.dumps, ROWS)),
    "squad2": (DATA / "squad_articles.json").read_text(encoding="utf8"),
}


@pytest.fixture
def compared(monkeypatch):
    """The arguments of each comparison; all other commands run, in this process."""
    calls = []

    def run(arguments):
        first, *others = map(str, arguments)
        if "compare" in others:
            calls.append(others[others.index("compare") + 1 :])
            return
        if first == "-m":
            command = app
            others = others[1:]
        else:
            command = typer.Typer()
            command.command()(runpy.run_path(first)["main"])
        result = CliRunner().invoke(command, others)
        assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"

    monkeypatch.setattr(cells, "run", run)
    return calls


@pytest.mark.parametrize("name", RAW)
def test_files_become_what_is_compared(name, compared, tmp_path):
    cell = tasks.CELLS[name]
    for file in cell.files:
        (tmp_path / "data" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / file).write_text(RAW[name], encoding="utf8")
    tasks.main(tmp_path / "data", tmp_path / "out", cells=name, methods="probe", seeds="0")
    ((config, output, *options),) = compared
    given = dict(zip(options[::2], options[1::2], strict=True))
    assert output == str(tmp_path / "out" / name) and config == str(ROOT / "configs" / f"{cell.config}.cfg")
    for key in ("--paths.train", "--paths.dev", "--test"):
        assert len(list(DocBin().from_disk(given[key]).get_docs(spacy.blank("en").vocab)))
    assert given["--initialize.before_init.min_steps"] == str(cell.steps)


def test_what_is_there_is_not_converted_again(compared, tmp_path):
    folder = tmp_path / "out" / "corpora" / "rte"
    folder.mkdir(parents=True)
    for part in cells.PARTS:
        (folder / f"{part}.spacy").touch()
    tasks.main(tmp_path, tmp_path / "out", cells="rte", methods="probe", seeds="0")
    assert len(compared) == 1


def test_cells_name_what_exists():
    for cell in tasks.CELLS.values():
        assert (ROOT / "configs" / f"{cell.config}.cfg").is_file()
        assert len(cell.files) in (2, 3) and set(cell.cuts) <= {"train", "dev", "test"}
    defaults = tasks.main.__defaults__
    assert set(defaults[1].split(",")) <= set(METHODS)
