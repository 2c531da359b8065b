"""Corpus files to Docs and Examples.

`files.py` takes a file or a folder, `detection.py` says of what kind a file is, one module reads each kind:
`tables.py` and `columns.py` one token a line, with `schemes.py` for the tags; `conll2012.py`; `json_files.py` with
`json_tokens.py` and `json_spans.py`, whose texts `spans.py` tokenises. All return `documents.py`'s Documents, which
become Docs there and Examples in `readers.py`.
"""
