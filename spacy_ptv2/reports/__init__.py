"""Pages that show a training, a comparison or a corpus: one HTML file each, which needs nothing else.

`training` reads what was trained. `spans`, `classes`, `counts`, `bootstrap`, `confusion`, `calibration` and `excerpts`
measure a pipeline on gold Docs (`measured`), `parameters` and `pieces` measure models and texts. `charts` draws, and
`page` joins all of it with a template; `training_page` and `data_page` say what is on each. Nothing here trains.
"""
