"""Pipelines on a hub: what `spacy ptv2 push` uploads, and `spacy_ptv2.load` reads by a repository's id.

In: a pipeline's folder, or a repository's id. Out: a repository with a model card and one folder, that of the slim
package without its code; or a loaded pipeline. Who pushes asks for the network; a download needs permission, as for
backbones. A downloaded package is checked in a copy of its own, so that spaCy reads no other bytes than those checked.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from spacy.language import Language
from spacy.util import load_model_from_path

from ..backbones.source import DOWNLOAD_VARIABLE, download_is_permitted
from ..errors import Errors, FormatError, PTuningError
from ..reading import is_file, read_object
from .builder import HUB_ID
from .card import CARD_FILE
from .manifest import MANIFEST_FILE, check_package
from .wheels import Report, package_pipeline

OWN_FILES = (CARD_FILE, ".gitattributes")  # beside the package's folder
SUFFIXES = ("", ".cfg", ".json", ".jsonl", ".md", ".safetensors", ".txt")
OTHER_NAMES = ("lookups.bin",)  # spaCy's, as msgpack
PICKLE = re.compile(rb"\x80[\x02-\x05].*\.", re.DOTALL)
ARCHIVE = b"PK\x03\x04"  # of torch.save
MOST_BYTES, MOST_FILES = 1 << 30, 1000


def push(
    pipeline: Path,
    repo_id: str,
    *,
    name: str | None = None,
    version: str | None = None,
    texts: Path | None = None,
    private: bool = False,
    report: Report = lambda text: None,
) -> str:
    """Upload a pipeline's slim package to a hub. The user's token is found by huggingface_hub.

    repo_id (str): OWNER/NAME; created if it is not there. What an earlier push left in it is replaced.
    name, version (str | None), texts (Path | None), report (Report): As of `package_pipeline`.
    private (bool): Whether a new repository is private.
    RETURNS (str): The commit. RAISES (PTuningError): P801, P803, P804, and what `package_pipeline` raises.
    """
    from huggingface_hub import HfApi

    _check_id(repo_id)
    with tempfile.TemporaryDirectory() as folder:
        wheel = package_pipeline(pipeline, Path(folder), name=name, version=version, texts=texts, report=report)
        content = _lay_out(wheel, Path(folder) / "repository")
        _check_folder(repo_id, content)
        report(f"Uploading to {repo_id}")
        with _hub_errors(repo_id):
            api = HfApi()
            api.create_repo(repo_id, private=private or None, exist_ok=True)
            _check_names(repo_id, api.list_repo_files(repo_id))
            commit = api.upload_folder(
                repo_id=repo_id,
                folder_path=content,
                commit_message=f"{wheel.name.removesuffix('-py3-none-any.whl')}, by spacy ptv2 push",
                delete_patterns="*",
            )
            return str(commit.oid)


def load(repo_id: str, *, revision: str | None = None, allow_download: bool = False) -> Language:
    """Load a pipeline that `spacy ptv2 push` put on a hub, from the local cache unless a download is permitted.

    revision (str | None): A branch, a tag or a commit; None for the default branch.
    allow_download (bool): Whether the hub may be asked, for this pipeline; for any, SPACY_PTV2_ALLOW_DOWNLOAD=1. The
        backbone is looked up as for any pipeline.
    RETURNS (Language): The pipeline. RAISES (PTuningError): P800-P805, P601-P604, and what loading a pipeline raises.
    """
    permitted = allow_download or download_is_permitted()
    _check_id(repo_id)
    snapshot = _fetch(repo_id, revision, permitted=permitted)
    with tempfile.TemporaryDirectory() as folder:
        package = _copy(repo_id, snapshot, Path(folder))
        _check_folder(repo_id, package.parent)
        check_package(package)
        return load_model_from_path(_pipeline_in(repo_id, package))


def _check_id(repo_id: object) -> None:
    """RAISES (PTuningError): P804 if it is no repository's id."""
    if not isinstance(repo_id, str) or repo_id.count("/") != 1 or not HUB_ID.fullmatch(repo_id):
        raise PTuningError(Errors.P804.format(got=f"{repo_id!r:.100}"))


def _fetch(repo_id: str, revision: str | None, *, permitted: bool) -> Path:
    """Return the folder of a repository in the local cache, downloaded first if the user permits it."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    with _hub_errors(repo_id):
        if not permitted:
            try:
                return Path(snapshot_download(repo_id, revision=revision, local_files_only=True))
            except LocalEntryNotFoundError as error:
                raise PTuningError(Errors.P800.format(repo=repo_id, variable=DOWNLOAD_VARIABLE)) from error
        info = HfApi().model_info(repo_id, revision=revision, files_metadata=True)
        files = info.siblings or []
        _check_names(repo_id, [file.rfilename for file in files])
        n_bytes = sum(file.size or 0 for file in files)
        if n_bytes > MOST_BYTES or len(files) > MOST_FILES:
            found = f"{len(files):,} files of together {n_bytes:,} bytes"
            raise FormatError(Errors.P805.format(repo=repo_id, got=found, files=MOST_FILES, size=MOST_BYTES))
        return Path(snapshot_download(repo_id, revision=revision))


@contextmanager
def _hub_errors(repo_id: str) -> Iterator[None]:
    """RAISES (PTuningError): P801 for what huggingface_hub raises: refusals, and failures of its HTTP library."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    kinds: tuple[Any, ...] = (*HfHubHTTPError.__bases__, HFValidationError)  # the library differs between versions
    try:
        yield
    except PTuningError:
        raise
    except kinds as error:
        raise PTuningError(Errors.P801.format(repo=repo_id, error=f"{error!s:.500}")) from error


def _check_names(repo_id: str, names: Iterable[str]) -> None:
    """RAISES (FormatError): P803 for the first file that is no part of a pipeline."""
    for name in names:
        path = PurePosixPath(name)
        is_pipelines = len(path.parts) > 1 and (path.suffix in SUFFIXES or path.name in OTHER_NAMES)
        if name not in OWN_FILES and not is_pipelines:
            raise FormatError(
                Errors.P803.format(repo=repo_id, name=f"{name!r:.200}", problem="is no part of a pipeline")
            )


def _check_folder(repo_id: str, folder: Path) -> None:
    """RAISES (FormatError): P803 for the first file that is no part of a pipeline, or is a pickle under any name."""
    _check_names(repo_id, [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()])
    for file in sorted(folder.rglob("*")):
        is_checked = file.is_file() and file.suffix != ".safetensors"  # read by a library that knows no pickle
        data = file.read_bytes() if is_checked else b""
        if data.startswith(ARCHIVE) or PICKLE.fullmatch(data):
            name = file.relative_to(folder).as_posix()
            raise FormatError(Errors.P803.format(repo=repo_id, name=f"{name!r:.200}", problem="is a pickle"))


def _lay_out(wheel: Path, target: Path) -> Path:
    """Unpack a wheel as the content of a repository: its package without the code, and the card in front."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name and not name.endswith("/__init__.py")]
        archive.extractall(target, names)
    (package,) = target.iterdir()
    meta = read_object(package / "meta.json")
    card = (package / f"{package.name}-{meta['version']}" / CARD_FILE).read_text(encoding="utf8", errors="replace")
    about = {"library_name": "spacy", "language": [meta["lang"]], "tags": ["spacy", "spacy-ptv2"]}
    front = "\n".join(f"{key}: {json.dumps(value)}" for key, value in about.items())
    usage = f"import spacy_ptv2\nnlp = spacy_ptv2.load(REPOSITORY)  # {DOWNLOAD_VARIABLE}=1 permits the download"
    text = f"---\n{front}\n---\n\n{card}\n## From the hub\n\n```python\n{usage}\n```\n"
    (target / CARD_FILE).write_text(text, encoding="utf8")
    return target


def _copy(repo_id: str, snapshot: Path, target: Path) -> Path:
    """Copy the package out of a snapshot, whose files are links into the cache. RAISES (FormatError): P802."""
    packages = [folder for folder in sorted(snapshot.iterdir()) if is_file(folder / MANIFEST_FILE)]
    if len(packages) != 1:
        raise FormatError(Errors.P802.format(repo=repo_id, got=f"{len(packages)} folders with a {MANIFEST_FILE}"))
    return Path(shutil.copytree(packages[0], target / packages[0].name))


def _pipeline_in(repo_id: str, package: Path) -> Path:
    """Return the folder of the pipeline in a package. RAISES (FormatError): P802."""
    folders = [folder for folder in package.iterdir() if is_file(folder / "config.cfg")]
    if len(folders) != 1:
        raise FormatError(Errors.P802.format(repo=repo_id, got=f"{len(folders)} folders with a config.cfg"))
    return folders[0]
