"""What MkDocs is told: which files of the repository are the site, what is generated, and the order of the pages.

In: MkDocs's events, in a build by mkdocs.yml. Out: a site with the folders of the repository, so that the links between
its pages are those of the repository. Pages stand in the order, and under the names, of the list in docs/README.md.
"""

from pathlib import Path
from typing import Any

from api import render_api
from command_line import render_commands
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from notebooks import link_notebooks, notebooks_of
from repository import FOLDER_PAGE, INDEX, ROOT, Published, complete_folders, find_published, links_of, list_folder

PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"]
FOLDERS = ["docs", "benchmarks", "examples"]
IMAGES = "docs/images"  # all of them: HTML within Markdown may show some
GENERATED = {"docs/reference/api.md": render_api, "docs/reference/command_line.md": render_commands}
WITH_NOTEBOOKS, NOTEBOOKS = "docs/guides/python.md", "notebooks"  # a page, and a folder next to it
OF_THE_SITE = ["docs/site/tables.css"]
VIEWED = {".css", ".gif", ".html", ".jpg", ".js", ".md", ".png", ".svg", ".txt", ".webp"}  # what browsers show as it is

Nav = list[Any]  # as MkDocs takes it: pages, and {title: page or Nav}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replace the files of docs/ by those of the repository, and generate pages."""
    for file in list(files):
        if file.src_dir == config.docs_dir:
            files.remove(file)
    own = {path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md")} | set((ROOT / IMAGES).iterdir())
    published = find_published([*PAGES, *sorted(path.relative_to(ROOT).as_posix() for path in own)])
    for uri in (*published.files, *OF_THE_SITE):
        files.append(_copy(uri, config))
    for folder in published.folders:
        files.append(File.generated(config, f"{folder}/{FOLDER_PAGE}", content=list_folder(folder)))
    for uri, render in GENERATED.items():
        files.append(File.generated(config, uri, content=render()))
    for anchor, notebook in notebooks_of((ROOT / WITH_NOTEBOOKS).read_text(encoding="utf8")).items():
        uri = f"{Path(WITH_NOTEBOOKS).parent.as_posix()}/{NOTEBOOKS}/{anchor}.ipynb"
        files.append(File.generated(config, uri, content=notebook))
    config.nav = build_nav(published)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to folders to their pages, and put links to notebooks where there are some."""
    if page.file.src_uri == WITH_NOTEBOOKS:
        markdown = link_notebooks(markdown, NOTEBOOKS)
    return complete_folders(markdown, page.file.src_uri)


def _copy(uri: str, config: MkDocsConfig) -> File:
    """Return a file of the repository for the site: a config or a module as text, which browsers show."""
    shown = Path(uri).suffix in VIEWED
    return File(uri, str(ROOT), config.site_dir, config.use_directory_urls, dest_uri=None if shown else f"{uri}.txt")


def build_nav(published: Published) -> Nav:
    """Return the pages by folder: those of the list first, in its order, then the others by their names."""
    names = {target: name for name, target in links_of(INDEX)}
    pages = [*names, *sorted({uri for uri in (*published.files, *GENERATED) if uri.endswith(".md")} - set(names))]

    def section(folder: str) -> Nav:
        return [_entry(uri, names) for uri in pages if Path(uri).parent.as_posix() == folder]

    examples = [_entry(uri, names) for uri in pages if uri.startswith("examples/")]
    return [
        {"Home": "README.md"},
        {"Guides": [*section("docs/guides"), *examples]},
        {"Reference": section("docs/reference")},
        {"Experiments": [*section("docs/experiments"), {"Tables": section("docs/experiments/tables")}]},
        {"Benchmarks": [{"Commands": "benchmarks/README.md"}, *section("benchmarks/results")]},
        {"Changelog": "CHANGELOG.md"},
        {"Contributing": "CONTRIBUTING.md"},
        {"All pages": INDEX},
    ]


def _entry(uri: str, names: dict[str, str]) -> str | dict[str, str]:
    """Return a page under its name in the list, if it is there, else under its heading."""
    return {names[uri][0].upper() + names[uri][1:]: uri} if uri in names else uri
