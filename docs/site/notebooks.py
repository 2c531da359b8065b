"""The sections of a guide as Jupyter notebooks: text and code of each, in the order of the page.

In: the Markdown of a page whose examples stand alone. Out: a notebook for each section with code, by the anchor of its
heading. Source of the format: https://nbformat.readthedocs.io.
"""

import re

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from pymdownx.slugs import slugify

SECTION = re.compile(r"^(?=#{1,2} )", re.MULTILINE)
BLOCK = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!http)[^)]*\)")  # to another page, which is not next to a notebook
anchor_of = slugify(case="lower")


def notebooks_of(page: str) -> dict[str, str]:
    """Return the notebooks of a page. RETURNS (dict[str, str]): JSON by anchor."""
    found = {}
    for section in filter(BLOCK.search, SECTION.split(page)):
        title = section.splitlines()[0].lstrip("# ")
        cells = []
        for place, text in enumerate(BLOCK.split(section)):  # texts, and between them what the blocks hold
            if text.strip():
                new_cell = new_code_cell if place % 2 else new_markdown_cell
                cells.append(new_cell((text if place % 2 else LINK.sub(r"\1", text)).strip()))
        for number, cell in enumerate(cells):
            cell["id"] = f"cell-{number}"  # by default at random, and a site should be built alike
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        found[anchor_of(title, "-")] = nbformat.writes(new_notebook(cells=cells, metadata=kernel))
    return found


def link_notebooks(page: str, folder: str) -> str:
    """Put a link to its notebook under the heading of each section that has one."""
    anchors = notebooks_of(page)

    def add(section: str) -> str:
        heading, _, rest = section.partition("\n")
        anchor = anchor_of(heading.lstrip("# "), "-")
        link = f"\n\n[As a notebook]({folder}/{anchor}.ipynb)\n" if anchor in anchors else "\n"
        return f"{heading}{link}{rest}"

    return "".join(add(section) for section in SECTION.split(page) if section)
