"""Print what a pipeline predicts for a corpus, one JSON line per Doc, with the network switched off.

python project/scripts/predict.py PIPELINE CORPUS > predictions.jsonl

PIPELINE is an installed package's name or a folder. It is given of each Doc what its task is asked, as `spacy ptv2
evaluate` does. This runs in the fresh environment of the smoke test, so it imports nothing but what is installed there.
"""

import json
import os
import socket
import sys
from pathlib import Path


class NetworkIsOff(RuntimeError):
    """Raised where code tries to connect although everything it needs should be installed."""


def refuse(*args: object, **kwargs: object) -> None:
    """Stand in for every way to open a connection."""
    raise NetworkIsOff(f"tried to connect to {args[1:]}")


def main(pipeline: str, corpus: str) -> None:
    """Switch the network off and predict."""
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    socket.socket.connect = refuse  # type: ignore[method-assign,assignment]
    socket.create_connection = refuse  # type: ignore[assignment]
    print_predictions(pipeline, corpus)


def print_predictions(pipeline: str, corpus: str) -> None:
    """Print the annotations of each Doc, whatever the task: see `spacy_ptv2.packaging.sample.describe`."""
    import spacy

    from spacy_ptv2.cli.evaluate import read_examples
    from spacy_ptv2.packaging.sample import describe

    nlp = spacy.load(pipeline)
    for doc in nlp.pipe([example.predicted for example in read_examples(nlp, Path(corpus))]):
        print(json.dumps(describe(doc)))


if __name__ == "__main__":
    main(*sys.argv[1:])
