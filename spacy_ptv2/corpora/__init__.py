"""Reads corpus files into Docs and Examples.

`files.py` takes a file or a folder and `detection.py` finds out what kind a file is. One module reads each kind:
`tables.py` and `columns.py` read one token per line, with `schemes.py` for the tags; `conll2012.py`; `json_files.py`
with `json_tokens.py` and `json_spans.py`, whose texts `spans.py` tokenises. All return Documents of `documents.py`,
which become Docs there and Examples in `readers.py`.
"""
