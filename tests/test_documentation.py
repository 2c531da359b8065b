"""What the README and the docs say is there is there, and their Python runs."""

import inspect
import re
from importlib import import_module

import pytest

from .conftest import ROOT
from .test_registry import FUNCTIONS, TABLE
from .tiny import save_tiny_backbone

README = (ROOT / "README.md").read_text(encoding="utf8")
CONFIGURATION = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf8")
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + [
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "benchmarks").glob("*.md"),
    *(ROOT / "examples").rglob("*.md"),
]


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_two_setup_commands_are_targets_and_ci_calls_the_second():
    setup = README.split("## Set up")[1].split("\n## ")[0]
    commands = [
        line for block in re.findall(r"```bash\n(.*?)```", setup, flags=re.DOTALL) for line in block.splitlines()
    ]
    assert commands[:2] == ["make quickstart", "make test"]
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{command.split()[1]}:", makefile, flags=re.MULTILINE) for command in commands[:2])
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_shell_commands_name_what_exists():
    project = (ROOT / "project.yml").read_text()
    for block in blocks("bash"):
        for workflow in re.findall(r"spacy project run ([\w-]+)", block):
            assert f"\n  {workflow}:" in project
        for path in re.findall(r"configs/\S+\.cfg", block):
            assert (ROOT / path).is_file()
        for package in re.findall(r"pip install --no-deps (\S+)", block):
            assert package in (ROOT / "Makefile").read_text()


def test_python_of_the_guide_runs(tmp_path, monkeypatch, capsys):
    """Over a tiny backbone: it says what can be called, not how well it learns."""
    folder = save_tiny_backbone(tmp_path / "bert", "bert", max_position_embeddings=512)
    monkeypatch.setenv("SPACY_PTV2_BACKBONE", str(folder))
    monkeypatch.chdir(tmp_path)
    guide = (ROOT / "docs" / "guides" / "python.md").read_text(encoding="utf8")
    session: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", guide, flags=re.DOTALL):
        exec(block, session)
    assert "'answer'" in capsys.readouterr().out


def anchors(document):
    """What GitHub calls the headings of a document: letters, digits and hyphens, spaces as hyphens."""
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf8"), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_inside_the_repository_lead_somewhere(document):
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", document.read_text(encoding="utf8")):
        if not target.startswith("http"):
            path = document.parent / target if target else document
            assert path.exists(), target
            assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


def test_the_index_of_the_docs_has_every_page():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf8")
    for page in (ROOT / "docs").glob("*/**/*.md"):
        assert f"]({page.relative_to(ROOT / 'docs').as_posix()})" in index


def test_the_figures_of_an_answer_are_in_the_tables_that_it_links_to():
    folder = ROOT / "docs" / "experiments"
    answers = (folder / "recipes.md").read_text(encoding="utf8").split("\n## ")[1:-1]  # the last is about the tables
    for answer in answers:
        pages = re.findall(r"\]\((tables/\w+\.md)#", answer)
        tables = "".join((folder / page).read_text(encoding="utf8") for page in pages)
        figures = re.findall(r"(?<!\w)\d?\.\d{2,}", answer)
        assert pages and figures, answer
        assert not [figure for figure in figures if not re.search(rf"(?<!\d){re.escape(figure)}(?!\d)", tables)], answer


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_site_reads_lists_as_github_does(document):
    """Python-Markdown wants an empty line before a list, and lists in lists by four spaces."""
    text = re.sub(r"```.*?```", "\n", document.read_text(encoding="utf8"), flags=re.DOTALL)
    lines = text.splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        if item := re.match(r"( *)(?:-|\d+\.) ", line):
            assert len(item[1]) % 4 == 0, line
            assert not before or re.match(r" *(?:-|\d+\.) | {2,}", before), line


@pytest.mark.parametrize("name", [*(name for _, name, _ in FUNCTIONS), *TABLE["factories"]])
def test_every_registered_name_is_documented(name):
    assert f"`{name}`" in CONFIGURATION


@pytest.mark.parametrize(("group", "name", "target"), FUNCTIONS, ids=[name for _, name, _ in FUNCTIONS])
def test_every_setting_is_documented(group, name, target):
    module, _, attribute = target.partition(":")
    if name.startswith("spacy_ptv2.Replaced"):
        return  # written by replace_listeners, never by hand
    for setting in inspect.signature(getattr(import_module(module), attribute)).parameters:
        assert f"`{setting}`" in CONFIGURATION, f"{name}: {setting}"
