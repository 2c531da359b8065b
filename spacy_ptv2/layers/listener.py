"""The layer that stands in a component for the vectors of a `ptuning_transformer` earlier in the pipeline."""

from __future__ import annotations

from typing import cast

from spacy.pipeline.tok2vec import Tok2VecListener


class PTuningListener(Tok2VecListener):
    """spaCy's listener under a name of its own. Shape of each output: (n_tokens, nO), nO taken over from upstream.

    By the name, `spacy debug model` finds the component to run first: for one that contains "transformer-listener" it
    takes the one called "transformer", as ours is in the shipped configs (spaCy 3.8, cli/debug_model.py).

    upstream (str): The name of the `ptuning_transformer` component, "*" for any.
    """

    name = "ptuning-transformer-listener"

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream_name=upstream, width=cast(int, None))
