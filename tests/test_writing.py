"""Files and folders are written whole or not at all, also on a full disk and where names cannot be exchanged."""

import errno
import subprocess
import sys

import pytest

from spacy_ptv2 import writing
from spacy_ptv2.errors import DiskError
from spacy_ptv2.writing import replacing_file, replacing_folder, restore_folder

from .small_disks import small_disk


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=["exchange", "two renames"])
def swap(request, monkeypatch):
    if request.param == "two renames":
        monkeypatch.setattr(writing, "_exchange", lambda one, other: False)


def test_a_file_takes_the_old_ones_place(tmp_path):
    path = tmp_path / "deep" / "file"
    for text in ("one", "two"):
        with replacing_file(path) as new:
            new.write_text(text)
        assert (path.read_text(), names(path.parent)) == (text, ["file"])


def test_an_error_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyError), replacing_file(path) as new:
        new.write_text("half")
        raise KeyError
    assert (path.read_text(), names(tmp_path)) == ("old", ["file"])


def test_a_folder_takes_the_old_ones_place_with_nothing_of_it_left(tmp_path, swap):
    path = tmp_path / "folder"
    for name in ("one", "two"):
        with replacing_folder(path) as new:
            (new / name).mkdir()
            (new / name / "file").write_text(name)
        assert (names(path), names(tmp_path)) == ([name], ["folder"])


def test_an_error_leaves_the_old_folder(tmp_path, swap):
    path = tmp_path / "folder"
    path.mkdir()
    (path / "file").write_text("old")
    with pytest.raises(KeyError), replacing_folder(path) as new:
        (new / "file").write_text("half")
        raise KeyError
    assert (names(tmp_path), (path / "file").read_text()) == (["folder"], "old")


def test_what_a_killed_process_left_is_removed_or_brought_back(tmp_path):
    path = tmp_path / "folder"
    for left in (".folder.new", ".folder.old"):
        (tmp_path / left).mkdir()
        (tmp_path / left / "file").write_text(left)
    restore_folder(path)
    assert (path / "file").read_text() == ".folder.old"
    with replacing_folder(path) as new:
        (new / "other").write_text("new")
    assert (names(tmp_path), names(path)) == (["folder"], ["other"])


def test_old_is_kept_only_while_there_is_no_other(tmp_path):
    for name in ("folder", ".folder.old"):
        (tmp_path / name).mkdir()
    restore_folder(tmp_path / "folder")
    assert names(tmp_path) == ["folder"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges two names in one step here")
def test_there_is_always_a_folder_while_it_is_replaced(tmp_path):
    """Another process looks for the folder's file all the time, and would see a gap."""
    path = tmp_path / "folder"
    path.mkdir()
    (path / "file").write_text("0")
    look = (
        "import sys, os\nprint('ready', flush=True)\nwhile not os.path.exists(sys.argv[2]): open(sys.argv[1]).close()"
    )
    watcher = subprocess.Popen(
        [sys.executable, "-c", look, str(path / "file"), str(tmp_path / "end")], stdout=subprocess.PIPE
    )
    watcher.stdout.readline()
    for number in range(200):
        with replacing_folder(path) as new:
            (new / "file").write_text(str(number))
    (tmp_path / "end").touch()
    assert watcher.wait(30) == 0


@pytest.mark.parametrize("replacing", [replacing_file, replacing_folder])
def test_a_full_disk_is_named_and_leaves_the_old_one(tmp_path, replacing):
    with small_disk(tmp_path / "disk", kilobytes=64) as disk:
        path = disk / "place"
        with replacing(path) as new:
            (new if replacing is replacing_file else new / "file").write_bytes(b"old")
        with (
            pytest.raises(DiskError, match=rf"P810.*{path}.*No space left.*the disk at {disk}\."),
            replacing(path) as new,
        ):
            (new if replacing is replacing_file else new / "file").write_bytes(b"x" * 100_000)
        assert (path if replacing is replacing_file else path / "file").read_bytes() == b"old"
        assert names(disk) == ["place"]


def test_other_errors_of_files_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, replacing_file(tmp_path / "file"):
        pass  # nothing is written
    assert caught.value.errno == errno.ENOENT
