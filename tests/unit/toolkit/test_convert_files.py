"""Items that are a file each: what folders mean, and tables that name files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from alcove_toolkit.convert.base import ConvertOptions
from alcove_toolkit.convert.files import FileItems, list_files
from alcove_toolkit.errors import SourceError


def lay(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def listed(root: Path, **asked: Any) -> FileItems:
    folders = asked.pop("as_folders", False)
    return list_files(root, ConvertOptions(**asked), (".txt",), folders=folders)


def labels(files: FileItems) -> dict[str, set[str]]:
    table = files.items.labels
    return {name: {table.names[k] for k in table.of(i)} for i, name in enumerate(files.names)}


def test_folders_are_labels_in_an_order_of_their_own(tmp_path: Path) -> None:
    names = ["b/10.txt", "b/9.txt", "a/x/deep.TXT", "a-b/1.txt", "a/.hidden.txt", ".git/a/1.txt", "a/read.me"]
    files = listed(lay(tmp_path, *names))
    assert files.names == ("a/x/deep.TXT", "a-b/1.txt", "b/10.txt", "b/9.txt")
    assert labels(files) == {n: {n.split("/")[0]} for n in files.names}
    assert files.items.notes == ("Files of other kinds, left out: 1.",)
    assert files.items.where(0) == str(tmp_path / "a/x/deep.TXT")


def test_train_and_test_at_the_top_are_the_split(tmp_path: Path) -> None:
    files = listed(lay(tmp_path, "train/a/1.txt", "train/b/1.txt", "test/a/2.txt"))
    assert files.items.is_test is not None
    assert dict(zip(files.names, files.items.is_test.tolist(), strict=True)) == {
        "train/a/1.txt": False,
        "train/b/1.txt": False,
        "test/a/2.txt": True,
    }
    assert labels(files)["train/b/1.txt"] == {"b"}
    with pytest.raises(SourceError, match=r"val.*lies beside folders for train and test"):
        listed(lay(tmp_path, "val/a/3.txt"))


def test_levels_as_they_are_said(tmp_path: Path) -> None:
    lay(tmp_path, "cam1/x/cat/1.txt", "cam2/y/cat/1.txt", "cam2/y/dog/2.txt")
    items = listed(tmp_path, folders="source/group/label").items
    assert items.source is not None
    assert items.group is not None
    assert [items.source.names[c] for c in items.source.codes] == ["cam1", "cam2", "cam2"]
    assert [items.group.names[c] for c in items.group.codes] == ["x", "y", "y"]
    assert items.labels.names == ("cat", "dog")
    assert listed(tmp_path, folders="-/-/label").items.source is None
    for levels, problem in (
        ("source", "does not say which level is the label"),
        ("camera/label", "'camera' is no level"),
        ("source/group/-/label", "is not in folders source/group/-/label"),
    ):
        with pytest.raises(SourceError, match=problem):
            listed(tmp_path, folders=levels)


def test_a_folder_of_files_can_be_one_item(tmp_path: Path) -> None:
    files = listed(lay(tmp_path, "a/clip/1.txt", "a/clip/2.txt", "b/c/d/1.txt"), as_folders=True)
    assert labels(files) == {"a/clip": {"a"}, "b/c/d": {"b"}}
    with pytest.raises(SourceError, match="is not in folders label"):
        listed(lay(tmp_path, "c/1.txt"), as_folders=True)


def test_a_table_names_files_and_labels(tmp_path: Path) -> None:
    root = lay(tmp_path / "data", "1.txt", "x/2.txt", "3.txt")
    table = tmp_path / "labels.csv"
    table.write_text("file,label,who\n1.txt,a;b,p\nx/2.txt,b,q\n3.txt,,p\n")
    files = listed(root, labels=str(table), group_column="who")
    assert labels(files) == {"1.txt": {"a", "b"}, "x/2.txt": {"b"}, "3.txt": set()}
    assert files.items.group is not None

    (root / "index.csv").write_text("path,cat,dog\n1.txt,1,0\nx/2.txt,0.25,1\n3.txt,0,1\n")
    files = listed(root / "index.csv")
    assert labels(files) == {"1.txt": {"cat"}, "x/2.txt": {"cat", "dog"}, "3.txt": {"dog"}}
    assert files.items.labels.of(1) == {0: 0.25, 1: 1.0}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("file,label\n1.txt,a\n", r"2\.txt: has no row in .*labels\.csv"),
        ("file,label\n1.txt,a\n2.txt,b\n3.txt,b\n", r"labels\.csv, row 4: there is no file .*3\.txt"),
        ("file,label\n1.txt,a\n2.txt,b\n./1.txt,b\n", r"labels\.csv, row 4: the file '1.txt' is there twice"),
        ("name,label\n1.txt,a\n", r"labels\.csv: has no column named file.*there are: name, label"),
        (
            "file,cat,dog\n1.txt,1,0\n2.txt,2,0\n",
            r"labels\.csv, row 3, column 'cat': '2' is not a confidence",
        ),
        ("file,label\n1.txt,a\n,b\n", r"labels\.csv, row 3: names no file"),
        ("file,label\n1.txt,a;;b\n2.txt,b\n", r"labels\.csv, row 2: there is an empty label"),
    ],
)
def test_tables_that_do_not_fit_their_files(tmp_path: Path, content: str, problem: str) -> None:
    lay(tmp_path / "data", "1.txt", "2.txt")
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(SourceError, match=problem):
        listed(tmp_path / "data", labels=str(tmp_path / "labels.csv"))


def test_nothing_to_list(tmp_path: Path) -> None:
    pictures, texts, odd = (tmp_path / name for name in ("pictures", "texts", "odd"))
    lay(pictures, "a/1.png")
    lay(texts, "b/1.txt")
    lay(odd, "b/new\nline.txt")
    for source, asked, problem in (
        (pictures, {}, r"there is no file that ends in \.txt"),
        (pictures / "a/1.png", {}, "is neither a folder nor a table"),
        (texts, {"labels": "label"}, "is no table of files and labels"),
        (odd, {}, "has a name that is no text"),
    ):
        with pytest.raises(SourceError, match=problem):
            listed(source, **asked)


def test_names_that_are_no_utf8_are_refused(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    with open(folder + b"/1.txt", "w"):
        pass
    with pytest.raises(SourceError, match="has a name that is no text"):
        listed(tmp_path)


def test_links_that_lead_back_are_named(tmp_path: Path) -> None:
    lay(tmp_path, "s/a/1.txt", "s/b/1.txt", "other/c/1.txt")
    (tmp_path / "s/c").symlink_to(tmp_path / "other/c")
    assert listed(tmp_path / "s").names == ("a/1.txt", "b/1.txt", "c/1.txt")
    (tmp_path / "other/c/back").symlink_to(tmp_path / "s")
    with pytest.raises(SourceError, match=r"s/c/back: leads back to a folder above it.*Remove the link"):
        listed(tmp_path / "s")


def test_pipes_are_no_files_and_links_to_nothing_are_named(tmp_path: Path) -> None:
    lay(tmp_path, "a/1.txt", "b/1.txt")
    os.mkfifo(tmp_path / "a/2.txt")
    assert listed(tmp_path).names == ("a/1.txt", "b/1.txt")
    assert listed(tmp_path).items.notes == ("Files of other kinds, left out: 1.",)
    (tmp_path / "b/2.txt").symlink_to("nowhere.txt")
    with pytest.raises(SourceError, match=r"b/2.txt: is a link to nothing"):
        listed(tmp_path)


def test_names_as_windows_writes_them(tmp_path: Path) -> None:
    lay(tmp_path, "a/1.txt", "a/2.txt", "b\\1.txt")
    (tmp_path / "files.csv").write_text("file,label\na\\1.txt,x\na/2.txt,y\nb\\1.txt,x\n")
    assert listed(tmp_path / "files.csv").names == ("a/1.txt", "a/2.txt", "b\\1.txt")
