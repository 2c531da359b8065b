"""What pyproject.toml cannot say: what is installed in addition to code. configs/ becomes spacy_ptv2.configs."""

from setuptools import find_packages, setup

DATA = ["spacy_ptv2.configs", "spacy_ptv2.demo.page", "spacy_ptv2.reports.templates"]

setup(
    packages=[*find_packages(include=["spacy_ptv2*"]), *DATA],
    package_dir={"spacy_ptv2.configs": "configs"},
)
