"""Pages that show a training, a comparison or a corpus: one HTML file each, which needs nothing else.

`training` and `runs` read what was trained, `spans`, `classes`, `counts`, `bootstrap`, `confusion`, `calibration` and
`excerpts` measure a pipeline on gold Docs, `parameters` and `pieces` measure models and texts, `charts` draws, and `page`
joins all of it with the templates. Nothing here runs or changes a training.
"""
