"""Builds a wheel from a source folder.

In: a folder with a Python package of data files, and the settings for setuptools. Out: a `.whl`. setuptools runs in a
process of its own, without build isolation, so nothing is downloaded.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from ..backbones.catalogue import DESCRIPTION_FILE, ENTRY_POINT_GROUP
from ..backbones.fingerprint import fingerprint_folder, identity_files
from ..errors import Errors, PTuningError

SETUP = """import json
from pathlib import Path

from setuptools import setup

setup(**json.loads(Path("setup.json").read_text(encoding="utf8")))
"""
BUILD = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
MODULE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)


def build_wheel(folder: Path, package: str, settings: dict[str, Any], output: Path) -> Path:
    """Build the wheel of a source folder.

    package (str): The Python package in it; all its files become data.
    settings (dict[str, Any]): For `setuptools.setup`.
    RETURNS (Path): The wheel in `output`. RAISES (PTuningError): P608 with the end of setuptools' output.
    """
    data = [file.relative_to(folder / package).as_posix() for file in (folder / package).rglob("*") if file.is_file()]
    whole = {**settings, "packages": [package], "package_data": {package: sorted(data)}, "zip_safe": False}
    (folder / "setup.json").write_text(json.dumps(whole), encoding="utf8")
    (folder / "setup.py").write_text(SETUP, encoding="utf8")
    command = [sys.executable, "-c", BUILD]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf8", check=False)
    wheels = list((folder / "dist").glob("*.whl"))
    if result.returncode != 0 or len(wheels) != 1:
        said = (result.stderr or result.stdout).strip().splitlines()[-3:]
        raise PTuningError(Errors.P608.format(package=package, error=" ".join(said)))
    output.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(wheels[0], output / wheels[0].name))


def refuse_to_overwrite(output: Path, package: str, version: str, *, overwrite: bool) -> None:
    """RAISES (PTuningError): P413 if the wheel is there already. Slim and bundled ones of a version share the name."""
    wheel = output / f"{package}-{version}-py3-none-any.whl"
    if wheel.exists() and not overwrite:
        raise PTuningError(Errors.P413.format(path=wheel))


def check_name(what: str, name: object) -> str:
    """Return the name if it is safe as a module, a folder and a part of a wheel's name.

    RAISES (PTuningError): P609 otherwise.
    """
    if not isinstance(name, str) or MODULE_NAME.fullmatch(name) is None:
        raise PTuningError(Errors.P609.format(what=what, got=name, expected="ASCII letters, digits and underscores"))
    return name


def check_version(version: object) -> str:
    """Return the normalised version if it is safe as a part of a folder's and a wheel's name.

    RAISES (PTuningError): P609 otherwise.
    """
    try:
        if isinstance(version, str) and re.fullmatch(r"[0-9][0-9A-Za-z.]*", version):
            return str(Version(version))
    except InvalidVersion:
        pass
    raise PTuningError(Errors.P609.format(what="version", got=version, expected="a version such as 1.0.2"))


def refuse_links(folder: Path) -> None:
    """Refuse a folder that contains links, because what they point to is not part of it.

    RAISES (PTuningError): P610.
    """
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise PTuningError(Errors.P610.format(path=path))


def copy_backbone(source: Path, target: Path, about: dict[str, Any]) -> None:
    """Copy only the files that identify a backbone, and write what is known about it next to them.

    about (dict[str, Any]): Its "name" and "revision", and "converted" if its weights are not the original ones.
    """
    target.mkdir(parents=True)
    for file in identity_files(source):
        shutil.copyfile(file, target / file.name)
    describe_backbone(target, about)


def describe_backbone(folder: Path, about: dict[str, Any]) -> None:
    """Write the description of a packaged backbone, with its fingerprint, next to its files."""
    content = {**about, "fingerprint": fingerprint_folder(folder)}
    (folder / DESCRIPTION_FILE).write_text(json.dumps(content, indent=1), encoding="utf8")


def announcement(hub_id: str, package: str, folder: str) -> dict[str, list[str]]:
    """Return the entry point that announces a backbone in a data folder of a package."""
    return {ENTRY_POINT_GROUP: [f"{hub_id} = {package}.{folder}"]}
