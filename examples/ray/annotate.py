"""Annotates JSON lines or Parquet with Ray Data, on this machine or on a cluster.

In: pipelines, and files with a column `text`. Out: a folder of Parquet with the columns `annotations` and `problem` in
addition. Each actor loads the pipelines once and annotates batch after batch.

python examples/ray/annotate.py training/model-best texts.jsonl annotated/ --actors 3
"""

from __future__ import annotations

from typing import Annotated

import ray
import typer

from spacy_ptv2.bulk import Annotator


def main(
    pipelines: Annotated[list[str], typer.Argument(help="Packages or folders; NAME=PIPELINE to name one.")],
    source: Annotated[str, typer.Argument(help="A .jsonl file, or Parquet: a file or a folder.")],
    output: Annotated[str, typer.Argument(help="The folder to write to.")],
    actors: Annotated[int, typer.Option(help="Processes that annotate, each with a core; leave one for reading.")] = 1,
    batch_size: Annotated[int, typer.Option(help="Rows in a batch.")] = 256,
) -> None:
    """Annotate a column of texts. With RAY_ADDRESS set, on that cluster."""
    ray.init()
    texts = ray.data.read_json(source) if source.endswith(".jsonl") else ray.data.read_parquet(source)
    annotated = texts.map_batches(
        Annotator,
        fn_constructor_args=[pipelines],
        compute=ray.data.ActorPoolStrategy(size=actors),
        num_cpus=1,
        batch_size=batch_size,
        batch_format="pandas",
    )
    annotated.write_parquet(output)


if __name__ == "__main__":
    typer.run(main)
