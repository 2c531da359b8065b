"""What pyproject.toml cannot say: which folders of data are packages.

configs/, outside the package here, is installed as spacy_ptv2.configs; the page of the demo stays where it is.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["spacy_ptv2*"]), "spacy_ptv2.configs", "spacy_ptv2.demo.page"],
    package_dir={"spacy_ptv2.configs": "configs"},
)
