"""The built site: every link in it leads somewhere, and nothing in it comes from the network."""

import re
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from importlib.metadata import entry_points
from importlib.util import find_spec
from urllib.parse import unquote, urlsplit

import pytest
from typer.main import get_command

import spacy_ptv2
from spacy_ptv2.cli import app

from .conftest import ROOT

nbformat = pytest.importorskip("nbformat", reason="needs `pip install 'spacy-ptv2[docs]'`")
pytestmark = pytest.mark.skipif(find_spec("material") is None, reason="needs `pip install 'spacy-ptv2[docs]'`")

SHOWN = {"img", "script", "iframe", "source", "video", "audio", "embed"}  # what a browser fetches for its src


@dataclass
class Links(HTMLParser):
    """What a page fetches, where its links lead, and what can be linked to in it."""

    fetched: list[str] = field(default_factory=list)
    followed: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self):
        super().__init__()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag in SHOWN and found.get("src"):
            self.fetched.append(found["src"])
        if tag in ("a", "link", "image", "use") and found.get("href"):
            (self.followed if tag == "a" else self.fetched).append(found["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    found = {}
    for path in site.rglob("*.html"):
        found[path] = Links()
        found[path].feed(path.read_text(encoding="utf8"))
    return found


def test_every_link_leads_to_a_file_and_an_anchor_of_the_site(site, pages):
    for page, links in pages.items():
        for link in (*links.fetched, *links.followed):
            target = urlsplit(link)
            if target.scheme or target.netloc:
                continue
            path = site if target.path.startswith("/") else page.parent
            path = (path / unquote(target.path).lstrip("/")).resolve() if target.path else page
            assert path.is_file() or (path / "index.html").is_file(), f"{page.relative_to(site)}: {link}"
            if target.fragment and path in pages:
                assert unquote(target.fragment) in pages[path].anchors, f"{page.relative_to(site)}: {link}"


def test_it_works_without_network(site, pages):
    for page, links in pages.items():
        assert not [link for link in links.fetched if urlsplit(link).netloc], page.relative_to(site)
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf8")
        assert "url(http" not in text and "url(//" not in text and "@import" not in text, path.name
    assert (site / "search" / "search_index.json").is_file()


def test_each_example_in_python_is_a_notebook(site):
    page = (ROOT / "docs" / "guides" / "python.md").read_text(encoding="utf8")
    code = [block.strip() for block in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)]
    found = [nbformat.read(path, 4) for path in (site / "docs" / "guides" / "notebooks").glob("*.ipynb")]
    for notebook in found:
        nbformat.validate(notebook)
        assert "import spacy_ptv2" in notebook.cells[1].source  # it stands alone
    cells = [cell.source for notebook in found for cell in notebook.cells if cell.cell_type == "code"]
    assert sorted(cells) == sorted(code) and len(found) > 5


def test_every_page_of_the_docs_is_in_the_navigation(site, pages):
    home = {(site / urlsplit(link).path).resolve() for link in pages[site / "index.html"].followed}
    for source in (ROOT / "docs").rglob("*.md"):
        (page,) = site.glob(f"{source.relative_to(ROOT).with_suffix('').as_posix().replace('README', 'index')}.html")
        assert page.resolve() in home, page.relative_to(site)


def test_files_that_are_no_pages_are_there_as_they_are(site):
    for name, published in (("configs/ner.cfg", "configs/ner.cfg.txt"), ("docs/images/sizes.svg",) * 2):
        assert (site / published).read_bytes() == (ROOT / name).read_bytes()
    folder = site / "project" / "assets" / "wikigold"
    assert 'href="README.rst.txt"' in (folder / "index.html").read_text(encoding="utf8")


def test_the_python_api_has_every_public_name(site, pages):
    page = site / "docs" / "reference" / "api.html"
    names = {name.lower() for name in spacy_ptv2.__all__ if not name.startswith("__")}
    assert {*names, "adapterbank", "adapterbankpipe", "import_adapter", "labelledheadadd_label"} <= pages[page].anchors
    text = page.read_text(encoding="utf8")
    for entry in entry_points(group="spacy_factories"):
        if entry.value.startswith("spacy_ptv2."):
            assert f"<code>{entry.name}</code>" in text


def test_the_command_line_has_every_option(site, pages):
    page = site / "docs" / "reference" / "command_line.html"
    text = page.read_text(encoding="utf8")
    for name, command in get_command(app).commands.items():
        assert name in pages[page].anchors
        for parameter in command.params:
            assert all(option in text for option in parameter.opts if option.startswith("-")), parameter.opts
