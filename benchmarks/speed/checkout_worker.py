"""One side of `checkouts.py`: trains and annotates with the package of the folder it runs in, when told to.

Reads lines from standard input, "train" or "annotate", and answers each with the seconds it took. It uses the shipped
config and spaCy's own interface only, so that it runs on checkouts whose insides differ.
"""

import json
import sys
import time

import spacy
from spacy.tokens import Doc, DocBin
from spacy.training.initialize import init_nlp
from spacy.util import fix_random_seed, load_config, resolve_dot_names


def main(corpus: str, n_steps: int) -> None:
    """Answer until the input ends. corpus: A `.spacy` file. n_steps: Training steps a round."""
    paths = {"paths.train": corpus, "paths.dev": corpus, "initialize.before_init.epochs": 1000}
    nlp = init_nlp(load_config("configs/ner.cfg", overrides=paths, interpolate=False))
    settings = nlp.config.interpolate()["training"]
    reader, batcher = resolve_dot_names(nlp.config.interpolate(), ["corpora.train", "training.batcher"])
    optimizer = resolve_dot_names(nlp.config.interpolate(), ["training.optimizer"])[0]
    batches = list(batcher(list(reader(nlp))))
    annotating = spacy.blank("en").vocab
    words = [[token.text for token in doc] for doc in DocBin().from_disk(corpus).get_docs(annotating)]
    fix_random_seed(0)
    position = 0

    def train() -> None:
        nonlocal position
        for _ in range(n_steps):
            nlp.update(batches[position % len(batches)], sgd=optimizer, drop=settings["dropout"])
            position += 1

    def annotate() -> None:
        for _ in nlp.pipe([Doc(nlp.vocab, words=text) for text in words]):
            pass

    work = {"train": train, "annotate": annotate}
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        work[line.strip()]()
        print(json.dumps(time.perf_counter() - start), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
