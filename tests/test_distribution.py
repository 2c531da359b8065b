"""What is published: the source distribution and the wheel, built from the files that git tracks.

Both are made of a copy, next to files that must not get into them.
"""

import ast
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import PathDistribution
from pathlib import PurePosixPath

import pytest

from .conftest import ROOT

MOST_BYTES = 2_000_000
PACKAGES = {"spacy_ptv2": "spacy_ptv2", "configs": "spacy_ptv2/configs"}  # folders, and where they are installed
FOR_THE_HOST = (".dockerignore", ".github", ".gitignore", ".pre-commit-config.yaml")
STRAYS = ("spacy_ptv2/cli/.notes.py.swp", "spacy_ptv2/__pycache__/x.pyc", "corpus/train.spacy", "token.txt", ".env")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs a checkout: git says which files there are"),
]


def tracked():
    command = ["git", "ls-files", "-z"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.rstrip("\0").split("\0")


def run(*arguments, cwd):
    result = subprocess.run([sys.executable, *map(str, arguments)], cwd=cwd, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the source distribution, and below `from-sdist` and `from-tree` a wheel."""
    folder = tmp_path_factory.mktemp("distribution")
    tree, output = folder / "tree", folder / "dist"
    for name in (*tracked(), *STRAYS):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        if name in STRAYS:
            (tree / name).write_text("not for others")
        else:
            shutil.copyfile(ROOT / name, tree / name)
    build = ("-m", "build", "--no-isolation")
    run(*build, "--sdist", "--outdir", output, cwd=tree)
    with tarfile.open(*output.glob("*.tar.gz")) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = folder.glob("spacy_ptv2-*")
    run(*build, "--wheel", "--outdir", output / "from-sdist", cwd=unpacked)
    run(*build, "--wheel", "--outdir", output / "from-tree", cwd=tree)
    return output


def contents(built, source):
    (wheel,) = (built / source).glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}


@pytest.fixture
def metadata(built, tmp_path):
    (wheel,) = built.glob("from-sdist/*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    return PathDistribution(*tmp_path.glob("*.dist-info")).metadata


def test_the_wheel_holds_the_package_and_nothing_else(built):
    expected = {
        f"{PACKAGES[folder]}/{rest}": (ROOT / name).read_bytes()
        for name in tracked()
        for folder, _, rest in [name.partition("/")]
        if folder in PACKAGES
    }
    assert "spacy_ptv2/py.typed" in expected and "spacy_ptv2/configs/ner.cfg" in expected
    assert contents(built, "from-sdist") == expected
    assert contents(built, "from-tree") == expected


def test_the_source_distribution_is_the_repository(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        files = {str(PurePosixPath(*PurePosixPath(file.name).parts[1:])) for file in archive if file.isfile()}
    made = {name for name in files if name in ("PKG-INFO", "setup.cfg") or name.startswith("spacy_ptv2.egg-info/")}
    assert files - made == {name for name in tracked() if not name.startswith(FOR_THE_HOST)}
    assert path.stat().st_size < MOST_BYTES


def test_an_index_would_take_them(built):
    pytest.importorskip("twine", reason="`pip install twine`")
    files = [*built.glob("*.tar.gz"), *built.glob("from-sdist/*.whl")]
    assert "PASSED" in run("-m", "twine", "--no-color", "check", "--strict", *files, cwd=built)


def test_the_description_leads_nowhere_that_is_not_there(metadata):
    """An index shows the README without the repository around it."""
    text = metadata.get_payload()
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "# spacy-ptv2" in text and "spacy ptv2 convert" in text
    targets = re.findall(r"\]\(([^)]*)\)", text)
    assert targets and all(target.startswith("https://") for target in targets)
    assert "![" not in text
    named = re.findall(r"\(`([^`]+)`\)", text)
    assert "docs/guides/tasks.md" in named
    assert all((ROOT / name).exists() for name in named)


def imported():
    """The packages that any module of ours imports, by their import names."""
    for path in (ROOT / "spacy_ptv2").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield node.module.partition(".")[0]


def test_what_is_imported_is_required(metadata):
    """By the package or one of its extras; nothing relies on what another package happens to require."""
    declared = {re.split(r"[^\w-]", line)[0].lower().replace("-", "_") for line in metadata.get_all("Requires-Dist")}
    others = set(imported()) - sys.stdlib_module_names - {"spacy_ptv2"}
    assert {name for name in others if name.lower() not in declared} == set()


def test_the_metadata_claims_what_is_known(metadata):
    assert metadata["Version"] == "0.1.0" and metadata["Requires-Python"] == ">=3.10"
    assert metadata.get_all("Project-URL") is None  # no address is known yet
    versions = [line.rpartition(" ")[2] for line in metadata.get_all("Classifier") if "Python :: 3." in line]
    assert versions == ["3.11"]  # what the whole suite is run on
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf8")
    assert re.search(r"^## 0\.1\.0 \((unreleased|\d{4}-\d\d-\d\d)\)$", changelog, flags=re.MULTILINE)
