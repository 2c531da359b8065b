"""Print what a pipeline predicts for the texts of a corpus, one JSON line per Doc, with the network switched off.

python project/scripts/predict.py PIPELINE CORPUS > predictions.jsonl

PIPELINE is an installed package's name or a folder. This runs in the fresh environment of the smoke test, so it
imports nothing but spaCy.
"""

import json
import os
import socket
import sys


class NetworkIsOff(RuntimeError):
    """Raised where code tries to connect although everything it needs should be installed."""


def refuse(*args: object, **kwargs: object) -> None:
    """Stand in for every way to open a connection."""
    raise NetworkIsOff(f"tried to connect to {args[1:]}")


def main(pipeline: str, corpus: str) -> None:
    """Predict and print the words and the entity tag of each."""
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    socket.socket.connect = refuse  # type: ignore[method-assign,assignment]
    socket.create_connection = refuse  # type: ignore[assignment]

    import spacy
    from spacy.tokens import Doc, DocBin

    nlp = spacy.load(pipeline)
    gold = DocBin().from_disk(corpus).get_docs(nlp.vocab)
    docs = (Doc(nlp.vocab, words=[t.text for t in doc], spaces=[bool(t.whitespace_) for t in doc]) for doc in gold)
    for doc in nlp.pipe(docs):
        tags = [f"{token.ent_iob_}-{token.ent_type_}" for token in doc]
        print(json.dumps({"words": [token.text for token in doc], "tags": tags}))


if __name__ == "__main__":
    main(*sys.argv[1:])
