"""Items that are a file each: what folders mean, and tables that name files."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any, Literal

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
    assert files.items.notes == (
        "Files of other kinds, left out: 1 (.me 1).",
        "Folders further down have no meaning: x (--folders to give them one).",
    )
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
    with pytest.raises(
        SourceError, match=r"val.*lies beside folders for train and test.*move these examples"
    ):
        listed(lay(tmp_path, "val/a/3.txt"))


@pytest.mark.parametrize(
    ("train", "held_out"),
    [
        ("train", "val"), ("train", "validation"), ("Train", "VALID"), ("training_set", "test_set"),
        ("trainset", "testset"), ("train2017", "val2017"), ("train_images", "test_images"), ("train", "dev"),
        ("Training", "Testing"), ("train-data", "test-data"), ("train", "eval"), ("images_train", "images_test"),
    ],
)  # fmt: skip
def test_parts_as_people_name_them(tmp_path: Path, train: str, held_out: str) -> None:
    files = listed(lay(tmp_path, f"{train}/ants/1.txt", f"{train}/bees/1.txt", f"{held_out}/ants/2.txt"))
    assert files.items.labels.names == ("ants", "bees")
    assert files.items.is_test is not None
    parts = dict(zip(files.names, files.items.is_test.tolist(), strict=True))
    assert {name for name, is_test in parts.items() if is_test} == {f"{held_out}/ants/2.txt"}
    named_test = held_out.lower().startswith(("test", "images_test"))
    assert files.items.notes == (() if named_test else (f"The part {held_out!r} is the test part.",))


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("train/a/1.txt", "test/a/1.txt", "a/1.txt"), r"/a: lies beside folders for train and test"),
        (("val/a/1.txt", "test/a/1.txt"), r"there is no folder for train: test, val.*--folders"),
        (("train/a/1.txt", "training/a/1.txt", "test/a/1.txt"), r"two folders are the same part: test, train"),
        (("train/a/1.txt", "train/b/1.txt"), r"all files are below one folder, 'train'.*Name .*/train as SOURCE"),
        (("hymenoptera/train/a/1.txt", "hymenoptera/val/b/1.txt"), r"one folder, 'hymenoptera'.*Name .*optera as S"),
        (("a/train/1.txt", "a/test/1.txt", "b/train/1.txt", "b/test/1.txt"), r"folders test, train.*label/split"),
    ],
)  # fmt: skip
def test_folders_that_could_be_parts_are_not_guessed(
    tmp_path: Path, names: tuple[str, ...], problem: str
) -> None:
    with pytest.raises(SourceError, match=problem):
        listed(lay(tmp_path, *names))


def test_one_folder_of_a_part_s_name_is_a_label_like_the_others(tmp_path: Path) -> None:
    """Trains, say."""
    files = listed(lay(tmp_path, "train/1.txt", "bus/1.txt", "tram/test/1.txt"))
    assert files.items.labels.names == ("bus", "train", "tram")
    assert files.items.is_test is None
    below = listed(lay(tmp_path, "a/train/1.txt", "a/val/1.txt"), folders="label")
    assert below.items.is_test is None


def test_a_column_of_parts(tmp_path: Path) -> None:
    lay(tmp_path, "1.txt", "2.txt", "3.txt")
    rows = "file,label,split\n1.txt,a,Train\n2.txt,b,train\n3.txt,a,"
    (tmp_path / "t.csv").write_text(f"{rows}validation\n")
    files = listed(tmp_path / "t.csv")
    assert files.items.is_test is not None
    assert files.items.is_test.tolist() == [False, False, True]
    assert files.items.notes == ("The part 'validation' is the test part.",)
    lay(tmp_path, "4.txt")
    (tmp_path / "t.csv").write_text(f"{rows}val\n4.txt,b,test\n")
    with pytest.raises(SourceError, match=r"row 4: is in a third part, 'val', beside train and test"):
        listed(tmp_path / "t.csv")


def test_labels_without_a_file_are_told(tmp_path: Path) -> None:
    lay(tmp_path, "a/1.txt", "b/1.txt", "c/1.heic", "c/2.heic", "d/readme", "__MACOSX/b/1.heic")
    files = listed(tmp_path)
    assert files.items.labels.names == ("a", "b")
    assert files.items.notes == (
        "Files of other kinds, left out: 3 (.heic 2, no ending 1).",
        "Folders without a file of this kind, so not a label: c, d.",
    )


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
        ("camera/label", "'camera' is not a level"),
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
        (pictures, {}, r"there is no file that ends in \.txt; others: 1 \(\.png 1\)\."),
        (pictures / "a/1.png", {}, "is neither a folder nor a table"),
        (texts, {"labels": "label"}, "is not a table of files and labels"),
        (odd, {}, r"has a name that has the control character '\\n'"),
    ):
        with pytest.raises(SourceError, match=problem):
            listed(source, **asked)


def test_names_that_are_no_utf8_are_refused(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    with open(folder + b"/1.txt", "w"):
        pass
    with pytest.raises(SourceError, match=r"'caf\\udce9': has a name that is not UTF-8"):
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
    assert listed(tmp_path).items.notes == ("Files of other kinds, left out: 1 (pipe or device 1).",)
    (tmp_path / "b/2.txt").symlink_to("nowhere.txt")
    with pytest.raises(SourceError, match=r"b/2.txt: is a link to nothing"):
        listed(tmp_path)


def test_names_as_windows_writes_them(tmp_path: Path) -> None:
    lay(tmp_path, "a/1.txt", "a/2.txt", "b\\1.txt")
    (tmp_path / "files.csv").write_text("file,label\na\\1.txt,x\na/2.txt,y\nb\\1.txt,x\n")
    assert listed(tmp_path / "files.csv").names == ("a/1.txt", "a/2.txt", "b\\1.txt")


@pytest.mark.parametrize(
    "name",
    [
        "Screenshot at 10.32.00\u202fAM", "no\u00a0break", "ネコ\u3000黒", "thin\u2009space", "em\u2003space",
        "family 👨\u200d👩\u200d👧", "right\u200f-to-left", "soft\u00adhyphen", "private \ue000", "e\u0301cran",
    ],
)  # fmt: skip
def test_names_with_any_space_and_sign(tmp_path: Path, name: str) -> None:
    files = listed(lay(tmp_path, f"{name}/1.txt", f"b/{name}.txt"))
    assert set(files.names) == {f"{name}/1.txt", f"b/{name}.txt"}
    assert set(files.items.labels.names) == {"b", unicodedata.normalize("NFC", name)}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_in_either_form_of_unicode_are_found(tmp_path: Path, form: Literal["NFC", "NFD"]) -> None:
    """A Mac stores é as two characters, a spreadsheet writes one; and the other way round."""
    other: Literal["NFC", "NFD"] = "NFD" if form == "NFC" else "NFC"
    names = [f"écrans été/écran {i}.txt" for i in range(3)]
    on_disk = [unicodedata.normalize(form, name) for name in names]
    lay(tmp_path / "data", *on_disk)
    rows = [f"{unicodedata.normalize(other, name)},{'ab'[i % 2]}" for i, name in enumerate(names)]
    (tmp_path / "l.csv").write_text("\n".join(("file,label", *rows)) + "\n", "utf-8")
    files = listed(tmp_path / "data", labels=str(tmp_path / "l.csv"))
    assert list(files.names) == on_disk
    assert all(files.path(i).is_file() for i in range(3))


def test_names_that_differ_in_their_form_alone_are_not_guessed(tmp_path: Path) -> None:
    names = [unicodedata.normalize(form, "été.txt") for form in ("NFC", "NFD")]
    lay(tmp_path / "data", *names)
    (tmp_path / "l.csv").write_text(f"file,label\n{names[1]},a\n{names[0]},b\n", "utf-8")
    assert listed(tmp_path / "data", labels=str(tmp_path / "l.csv")).names == (names[1], names[0])
    (tmp_path / "l.csv").write_text("file,label\ne\u0301t\u00e9.txt,a\n", "utf-8")
    with pytest.raises(SourceError, match=r"row 2: .* could be any of .*differ in their Unicode form alone"):
        listed(tmp_path / "data", labels=str(tmp_path / "l.csv"))


@pytest.mark.parametrize(
    ("cell", "meant"), [("img_1.TXT", "Img_1.txt"), ("Img_1", "Img_1.txt"), ("no.txt", "")]
)
def test_a_name_that_is_nearly_right_is_told(tmp_path: Path, cell: str, meant: str) -> None:
    lay(tmp_path, "a/Img_1.txt")
    (tmp_path / "l.csv").write_text(f"file,label\na/{cell},x\n")
    hint = rf"there is no file \S*/a/{cell}" + (f"; did you mean a/{meant}" if meant else r"\.")
    with pytest.raises(SourceError, match=hint):
        listed(tmp_path / "l.csv")


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A class would be missing without a word."""
    lay(tmp_path / "s", "a/1.txt", "b/1.txt", "c/1.txt")
    if os.getuid() != 0:
        (tmp_path / "s" / "c").chmod(0)
        with pytest.raises(PermissionError, match="/s/c"):
            listed(tmp_path / "s")
        (tmp_path / "s" / "c").chmod(0o700)
        return
    script = (
        "import sys; from pathlib import Path\n"
        "from alcove_toolkit.convert.listing import list_items\n"
        "try: list_items(Path(sys.argv[1]), ('.txt',), folders=False)\n"
        "except PermissionError as error: print(error.filename)"
    )
    os.chown(tmp_path / "s" / "c", 65534, 65534)
    (tmp_path / "s" / "c").chmod(0)
    limited = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]  # Root may read anything.
    command = [*limited, sys.executable, "-c", script, str(tmp_path / "s")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"{tmp_path}/s/c\n"


def test_how_the_files_were_understood_is_told(tmp_path: Path) -> None:
    lay(tmp_path, "train/a/1.txt", "train/b/1.txt", "val/a/2.txt")
    assert listed(tmp_path).items.facts == (("labels", "folders, by level: split/label"),)
    (tmp_path / "t.csv").write_text("path,class\ntrain/a/1.txt,x\ntrain/b/1.txt,y\n")
    facts = dict(listed(tmp_path / "t.csv").items.facts)
    assert (facts["files"], facts["labels"]) == ("column 'path'", "column 'class'")


@pytest.mark.parametrize(
    "tops",
    [
        ("my_train", "my_test"),
        ("train_1", "train_2", "test"),
        ("train", "holdout"),
        ("fold1", "fold2", "fold3"),
    ],
)
def test_folders_that_may_be_parts_are_no_labels_in_silence(tmp_path: Path, tops: tuple[str, ...]) -> None:
    lay(tmp_path, *(f"{top}/{label}/{i}.txt" for top in tops for label in "ab" for i in range(2)))
    with pytest.raises(SourceError, match=f"{tops[0]}.*may be parts or labels.*--folders label"):
        listed(tmp_path)
    assert listed(tmp_path, folders="label").items.labels.names == tuple(sorted(tops))


def test_one_label_of_many_may_be_named_as_a_part(tmp_path: Path) -> None:
    lay(tmp_path, *(f"{label}/{i}.txt" for label in ("bus", "car", "train") for i in range(2)), "car/~$1.txt")
    files = listed(tmp_path)
    assert files.items.labels.names == ("bus", "car", "train")
    assert len(files.names) == 6


def test_columns_of_a_table_of_files_that_are_not_read_are_said(tmp_path: Path) -> None:
    lay(tmp_path, "1.txt", "2.txt")
    (tmp_path / "t.csv").write_text("file,width,label\n1.txt,3,a\n2.txt,4,b\n")
    assert ("left out", "width") in listed(tmp_path / "t.csv").items.facts
    (tmp_path / "u.csv").write_text("file,patient\n1.txt,a\n2.txt,b\n")
    assert listed(tmp_path / "u.csv").items.notes == (
        "Column 'patient' is the label, as the only other one (--labels to choose).",
    )
