"""Build the wheel of a trained pipeline with `spacy package` and put it where its name is known beforehand.

python project/scripts/package.py PIPELINE OUTPUT_FOLDER --name ptv2_ner --version 0.1.0
"""

import shutil
import tempfile
from pathlib import Path

import typer
from spacy.cli.package import package
from wasabi import msg


def main(pipeline: Path, output: Path, name: str = typer.Option(...), version: str = typer.Option(...)) -> None:
    """Write OUTPUT_FOLDER/LANG_NAME-VERSION-py3-none-any.whl."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        package(pipeline, Path(folder), name=name, version=version, create_sdist=False, create_wheel=True, silent=False)
        (wheel,) = Path(folder).glob("*/dist/*.whl")
        target = output / wheel.name
        shutil.copyfile(wheel, target)
    msg.good(f"{target}: {target.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    typer.run(main)
