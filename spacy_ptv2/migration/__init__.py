"""Turns training configs of spacy-transformers and spacy-curated-transformers into configs of this package.

A config comes in as its file says it, with its variables. Nothing is resolved, so neither those packages nor a backbone
is needed. `migrate.py` goes from the transformers (`encoders.py`, `model_settings.py`) to their listeners
(`listeners.py`), the training (`training.py`) and what is left over. Each step notes in a `Report` what became of which
setting, and why. `foreign.py` knows the names of the other packages; our settings are those of the shipped configs
(`recipe.py`).
"""
