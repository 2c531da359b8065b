"""Split a SQuAD file by article: a share of its articles is held back, always the same ones.

python project/scripts/split_squad.py INPUT.json TRAIN.json DEV.json [--share 0.1] [--seed 0]

Questions made of an article's own paragraphs (make_unanswerable.py) then stay on one side.
"""

import json
import random
from pathlib import Path

import typer
from wasabi import msg


def main(source: Path, train: Path, dev: Path, share: float = 0.1, seed: int = 0) -> None:
    """Write both files; articles stay as they are."""
    content = json.loads(source.read_text(encoding="utf8"))
    articles = content["data"]
    held_back = set(random.Random(seed).sample(range(len(articles)), max(1, round(share * len(articles)))))
    for path, is_dev in ((train, False), (dev, True)):
        part = [article for number, article in enumerate(articles) if (number in held_back) is is_dev]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**content, "data": part}, ensure_ascii=False), encoding="utf8")
        n_questions = sum(len(paragraph["qas"]) for article in part for paragraph in article["paragraphs"])
        msg.info(f"{path}: {len(part)} articles, {n_questions} questions")


if __name__ == "__main__":
    typer.run(main)
