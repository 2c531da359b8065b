"""What setup.cfg cannot say: the configs, beside the code in this repository, are installed inside the package.

All other metadata is in setup.cfg.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["spacy_ptv2*"]), "spacy_ptv2.configs"],
    package_dir={"spacy_ptv2.configs": "configs"},
)
