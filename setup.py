"""What pyproject.toml cannot say: configs/, outside the package here, is installed as spacy_ptv2.configs."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["spacy_ptv2*"]), "spacy_ptv2.configs"],
    package_dir={"spacy_ptv2.configs": "configs"},
)
