"""What pyproject.toml cannot say.

configs/, outside the package here, is installed as spacy_ptv2.configs. An index shows the README without the files that
its relative links lead to.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

DATA = ["spacy_ptv2.configs", "spacy_ptv2.demo.page", "spacy_ptv2.reports.templates"]
NOTE = "\nFiles named here in parentheses are in the source distribution.\n"


def description() -> str:
    """Return the README with names of files in place of relative links, and without its image."""
    text = Path(__file__).with_name("README.md").read_text(encoding="utf8")
    text = re.sub(r"!\[[^\]]*\]\((?!https?:)[^)]*\)\n*", "", text)
    return re.sub(r"\[([^\]]*)\]\((?!https?:)([^)#]*)[^)]*\)", r"\1 (`\2`)", text) + NOTE


setup(
    packages=[*find_packages(include=["spacy_ptv2*"]), *DATA],
    package_dir={"spacy_ptv2.configs": "configs"},
    long_description=description(),
    long_description_content_type="text/markdown",
)
