"""Corpus files to Docs and Examples."""
