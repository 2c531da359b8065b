"""What is published: the source distribution and the wheel, built from the files that git tracks.

Both are made of a copy, next to files that must not get into them.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path, PurePosixPath

import platformdirs
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


def test_the_syntax_is_that_of_the_oldest_python():
    for folder in PACKAGES:
        for path in (ROOT / folder).rglob("*.py"):
            ast.parse(path.read_text(encoding="utf8"), filename=str(path), feature_version=(3, 10))


def interpreter(version):
    """Return a Python of this version, or skip. pyenv's are not on the path, or only as shims."""
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return sys.executable
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for path in (*sorted(root.glob(f"{version}.*/bin/python")), shutil.which(f"python{version}")):
        command = [str(path), "-c", "import sys, venv; print(*sys.version_info[:2], sep='.')"]
        if path and subprocess.run(command, capture_output=True, text=True).stdout.strip() == version:
            return str(path)
    pytest.skip(f"there is no Python {version} on this machine")


def install(built, version, folder):
    """Install the wheel alone in a new environment. RETURNS: Its Python, its folder of packages."""
    (wheel,) = built.glob("from-sdist/*.whl")
    subprocess.run([interpreter(version), "-m", "venv", "--without-pip", str(folder)], check=True, capture_output=True)
    python = folder / "bin" / "python"
    run("-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    (site,) = folder.glob("lib/*/site-packages")
    return python, site


def output_of(python, *arguments, cwd):
    """Run what is installed, far from the checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SPACY_PTV2"))}
    result = subprocess.run([str(python), *arguments], cwd=cwd, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_installed_it_is_found_by_spacy(built, tmp_path):
    """In a new environment that sees the other packages of this one; only the wheel is installed in it."""
    version = ".".join(map(str, sys.version_info[:2]))
    python, site = install(built, version, tmp_path / "venv")
    (site / "others.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    code = """
import spacy, spacy_ptv2
print(spacy_ptv2.__file__)
print(spacy.blank("en").has_factory("token_classifier"))
print(callable(spacy.registry.get("architectures", "spacy_ptv2.Tok2VecPTuning.v1")))
"""
    place, *found = output_of(python, "-c", code, cwd=tmp_path).split()
    assert Path(place).is_relative_to(site) and found == ["True", "True"]
    commands = output_of(python, "-m", "spacy", "ptv2", "--help", cwd=tmp_path)
    assert all(name in commands for name in ("init", "package", "push"))
    config = output_of(python, "-m", "spacy", "ptv2", "init", "ner", "-", cwd=tmp_path)
    assert config.startswith((ROOT / "configs" / "ner.cfg").read_text(encoding="utf8")[:20])


@pytest.mark.parametrize("version", ["3.10", "3.12", "3.13", "3.14"])
def test_installed_on_another_python(built, tmp_path, version):
    """Without torch and spaCy, which are not there: all of it compiles, and what needs neither is imported."""
    python, site = install(built, version, tmp_path / "venv")
    subprocess.run([python, "-W", "error", "-m", "compileall", "-q", "-f", site / "spacy_ptv2"], check=True)
    shutil.copytree(Path(platformdirs.__file__).parent, site / "platformdirs")  # all that the imports below require
    code = """
import spacy_ptv2, spacy_ptv2.errors, spacy_ptv2.options, spacy_ptv2.reading, spacy_ptv2.backbones.catalogue
print(spacy_ptv2.__version__, spacy_ptv2.BackboneSource("a/b").name)
"""
    assert output_of(python, "-c", code, cwd=tmp_path).split() == ["0.1.0", "a/b"]
