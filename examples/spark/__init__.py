"""Spark calls `Annotator`; README.md tells how to start it."""
