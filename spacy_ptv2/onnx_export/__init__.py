"""Writes a recognizer of entities as an ONNX graph that runs without spaCy, torch, transformers and this package.

`recognizer.py` finds what is exported, `graph.py` makes the graph, `sessions.py` runs and compares it, `folder.py`
writes. examples/onnx/annotate.py reads what was written.
"""
