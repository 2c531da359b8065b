"""Annotation of more text than one process reads: in shards, by `spacy ptv2 annotate`, or in Ray, Spark and the like.

In: files, or batches of texts. Out: shards with annotations, or the batches with them. docs/guides/annotate.md explains
both.
"""

from .annotator import Annotator

__all__ = ["Annotator"]
