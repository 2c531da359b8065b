"""The frozen model: where its files are, which model it is, one shared copy per process.

The only place that asks which family a model is of; a family is one `Family` in `families/`. `injection.py` says
which prompt is up, `attention.py` attends to it, `install.py` opens a loaded model for both.
"""
