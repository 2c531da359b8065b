"""The manifest: whatever is not as it was packaged is named before anything reads it."""

import json

import pytest

from spacy_ptv2.errors import FormatError
from spacy_ptv2.packaging.manifest import check_package, write_manifest


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "en_some"
    (folder / "data").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "data" / "a.txt").write_text("one")
    (folder / "data" / "b.txt").write_text("two")
    write_manifest(folder)
    return folder


def change_manifest(package, change):
    path = package / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_an_untouched_package_passes(package):
    listed = json.loads((package / "manifest.json").read_text())["files"]
    assert set(listed) == {"data/a.txt", "data/b.txt"}
    check_package(package)


def test_what_python_and_file_managers_leave_does_not_matter(package):
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "__init__.cpython-311.pyc").write_text("")
    (package / "data" / ".DS_Store").write_text("")
    check_package(package)


@pytest.mark.parametrize("content", ["oneX", "onE", ""])
def test_changed_files_are_named(package, content):
    (package / "data" / "a.txt").write_text(content)
    with pytest.raises(FormatError, match=r"P602.*a\.txt has .*expected .*en_some is damaged"):
        check_package(package)


def test_missing_and_added_files_are_named(package):
    (package / "data" / "c.txt").write_text("three")
    with pytest.raises(FormatError, match=r"P602.*c\.txt is not in the manifest"):
        check_package(package)
    (package / "data" / "b.txt").unlink()
    with pytest.raises(FormatError, match=r"P602.*b\.txt is missing"):
        check_package(package)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "3", '{"format_version": 1}', '{"format_version": 1, "package": "x", "files": 3}'],
)
def test_damaged_manifests_are_refused(package, content):
    (package / "manifest.json").write_text(content)
    with pytest.raises(FormatError, match=r"P601.*manifest\.json"):
        check_package(package)


@pytest.mark.parametrize("name", ["data/" + "x" * 300, "data/\ud800", "data/a\0b"])
def test_names_that_no_file_has_are_refused(package, name):
    content = json.loads((package / "manifest.json").read_text())
    content["files"][name] = {"size": 1, "sha256": "0"}
    (package / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(FormatError, match="P60[124]"):
        check_package(package)


def test_links_in_a_circle_are_refused(package):
    file = package / "data" / "a.txt"
    file.unlink()
    file.symlink_to(file)
    with pytest.raises(FormatError, match="P60[24]"):
        check_package(package)


def test_a_manifest_without_file_or_of_another_package_is_refused(package):
    (package / "manifest.json").unlink()
    with pytest.raises(FormatError, match="P601"):
        check_package(package)
    write_manifest(package)
    change_manifest(package, lambda content: content.update(package="en_other"))
    with pytest.raises(FormatError, match="P601.*that of 'en_other'"):
        check_package(package)


def test_newer_manifests_are_refused(package):
    change_manifest(package, lambda content: content.update(format_version=2))
    with pytest.raises(FormatError, match="P603.*version 2.*reads 1"):
        check_package(package)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "data/../../outside", "C:\\x", "data\\a.txt", ""])
def test_names_that_lead_out_are_refused(package, name):
    (package.parent / "outside").write_text("secret")
    change_manifest(package, lambda content: content["files"].update({name: {"size": 6, "sha256": ""}}))
    with pytest.raises(FormatError, match="P604.*outside the package"):
        check_package(package)


def test_links_that_lead_out_are_refused(package):
    (package.parent / "outside").write_text("one")
    (package / "data" / "a.txt").unlink()
    (package / "data" / "a.txt").symlink_to(package.parent / "outside")
    with pytest.raises(FormatError, match="P604.*outside the package"):
        check_package(package)
