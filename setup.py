"""All metadata is in setup.cfg; this file is what `pip install` and older tools call."""

from setuptools import setup

setup()
