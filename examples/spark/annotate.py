"""Annotates JSON lines or Parquet with Spark, on this machine or on a cluster.

In: pipelines, and files with a column `text`. Out: a folder of Parquet with the columns `annotations` and `problem` in
addition. Each of Spark's Python processes loads the pipelines once and annotates one data frame after another.

python examples/spark/annotate.py training/model-best texts.jsonl annotated/
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from pyspark.sql import SparkSession
from pyspark.sql.types import StringType, StructField, StructType

from spacy_ptv2.bulk import Annotator


def main(
    pipelines: Annotated[list[str], typer.Argument(help="Packages or folders; NAME=PIPELINE to name one.")],
    source: Annotated[str, typer.Argument(help="A .jsonl file, or Parquet: a file or a folder.")],
    output: Annotated[str, typer.Argument(help="The folder to write to.")],
    rows: Annotated[int, typer.Option(help="Rows in a data frame.")] = 1000,
) -> None:
    """Annotate a column of texts: here, on all cores, or where `spark-submit --master` says."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    spark = SparkSession.builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", rows).getOrCreate()
    texts = spark.read.json(source) if source.endswith(".jsonl") else spark.read.parquet(source)
    annotate = Annotator(pipelines)
    added = [StructField(name, StringType()) for name in (annotate.annotations, annotate.problem)]
    annotated = texts.mapInPandas(lambda frames: map(annotate, frames), StructType([*texts.schema.fields, *added]))
    annotated.write.parquet(output)


if __name__ == "__main__":
    typer.run(main)
