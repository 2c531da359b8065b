"""Which files of the repository the site has: pages, and whatever they link to.

In: pages, as paths from the root of the repository. Out: these, and the files and folders that links in them lead to.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from posixpath import normpath

ROOT = Path(__file__).parents[2]
INDEX = "docs/README.md"
FOLDER_PAGE = "index.md"
LINK = re.compile(r"(?:\[(?P<text>[^\[\]]*))?\]\((?P<target>[^()\s#:]+)(?=[#)\s])")


@dataclass
class Published:
    """What the site has of the repository, each as a path from the root."""

    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)  # without a page of their own


def find_published(pages: Iterable[str]) -> Published:
    """Follow the links of pages to other pages, files and folders."""
    published, waiting = Published(), list(pages)
    while waiting:
        uri = waiting.pop(0)
        if uri in published.files or uri in published.folders:
            continue
        if (ROOT / uri).is_dir():
            published.folders.append(uri)
            waiting.extend(f"{uri}/{path.name}" for path in _files_in(uri))
        else:
            published.files.append(uri)
            if uri.endswith(".md"):
                waiting.extend(target for _, target in links_of(uri))
    published.folders = [uri for uri in published.folders if not (ROOT / uri / "README.md").is_file()]
    return published


def links_of(uri: str) -> Iterator[tuple[str, str]]:
    """Yield the text and the target of each link of a page that leads to something in the repository."""
    for found in LINK.finditer((ROOT / uri).read_text(encoding="utf8")):
        target = resolve(found["target"], uri)
        if (ROOT / target).exists():
            yield " ".join((found["text"] or "").split()), target


def resolve(target: str, page: str) -> str:
    """Return where a link of a page leads, as a path from the root."""
    return normpath((PurePosixPath(page).parent / target).as_posix())


def complete_folders(markdown: str, page: str) -> str:
    """Name the page of a folder wherever a link leads to the folder."""

    def complete(found: re.Match[str]) -> str:
        folder = ROOT / resolve(found["target"], page)
        if not folder.is_dir():
            return found[0]
        return f"{found[0].rstrip('/')}/{'README.md' if (folder / 'README.md').is_file() else FOLDER_PAGE}"

    return LINK.sub(complete, markdown)


def list_folder(uri: str) -> str:
    """Return a page that links to the files of a folder."""
    return "\n".join([f"# {uri}", "", *(f"- [{path.name}]({path.name})" for path in _files_in(uri)), ""])


def _files_in(uri: str) -> list[Path]:
    return sorted(path for path in (ROOT / uri).iterdir() if path.is_file())
