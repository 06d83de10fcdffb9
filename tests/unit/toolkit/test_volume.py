"""A volume that does not answer is no finding: the check is to be done again, and the dataset is not blamed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from alcove_api.documents import DatasetManifest, FileEntry
from alcove_store.errors import StoreUnavailableError
from alcove_toolkit.volume import Volume

FILE = FileEntry(path="test/sample-0", bytes=3, sha256="a" * 64)
MANIFEST = DatasetManifest(
    name="d", domain="other", n_train=0, n_test=1, n_labels=1, labels=(), files=(FILE,)
)


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "sample-0").write_bytes(b"abc")
    return Volume(tmp_path)


def test_what_is_there_is_read_in_pieces(volume: Volume) -> None:
    assert volume.problems(MANIFEST) == []
    assert b"".join(volume.pieces("test/sample-0")) == b"abc"


def test_a_folder_that_is_gone_is_looked_at_again(volume: Volume) -> None:
    with pytest.raises(StoreUnavailableError, match="No such file") as caught:
        Volume(volume.root / "none").problems(MANIFEST)
    assert caught.value.retriable


def test_a_file_that_goes_while_it_is_checked_is_looked_at_again(volume: Volume) -> None:
    (volume.root / "test" / "sample-0").unlink()
    with pytest.raises(StoreUnavailableError, match="sample-0 on the volume cannot be read"):
        list(volume.pieces("test/sample-0"))


def test_neither_a_link_nor_a_pipe_is_followed(volume: Volume) -> None:
    file = volume.root / "test" / "sample-0"
    file.rename(volume.root / "elsewhere")
    file.symlink_to(volume.root / "elsewhere")
    with pytest.raises(StoreUnavailableError):
        list(volume.pieces("test/sample-0"))
    file.unlink()
    (volume.root / "elsewhere").unlink()
    os.mkfifo(file)
    assert volume.problems(MANIFEST) == [
        "test/sample-0 on the volume is a link or a special file. Put a regular file there."
    ]
