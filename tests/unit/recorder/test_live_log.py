"""However a program prints, the versions of its log take a bounded room in the store, and the live log goes on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcove_recorder.errors import UploadError
from alcove_recorder.live_log import LiveLog

LIMIT = 2000


def upload_versions(pieces: Iterable[int]) -> tuple[list[int], int]:
    """Sizes of the versions that are uploaded when so many bytes are printed between two looks, and the log's last."""
    with TemporaryDirectory() as folder:
        path, versions = Path(folder, "log.txt"), list[int]()
        path.touch()
        live = LiveLog(path, LIMIT)
        for piece in pieces:
            with path.open("ab") as log:
                log.write(b"x" * min(piece, LIMIT - log.tell()))
            live.upload(lambda: versions.append(path.stat().st_size))
        return versions, path.stat().st_size


@given(st.lists(st.integers(min_value=0, max_value=300), max_size=300))
def test_the_sum_of_all_versions_has_a_bound(pieces: list[int]) -> None:
    versions, last = upload_versions(pieces)
    assert sum(versions) <= 6 * LIMIT
    assert versions == sorted(set(versions)), "nothing goes twice"
    assert last <= 1.25 * (versions[-1] if versions else 0), "what is shown is at most a fifth behind"


def test_a_program_that_prints_one_byte_at_a_time_is_bounded_too() -> None:
    versions, last = upload_versions([1] * LIMIT)
    assert last == LIMIT
    assert LIMIT < sum(versions) <= 6 * LIMIT


def test_what_is_short_is_shown_as_it_comes() -> None:
    assert upload_versions([10] * 10) == (list(range(10, 101, 10)), 100)


def test_a_version_that_the_store_did_not_take_is_due_again(tmp_path: Path) -> None:
    path, calls = tmp_path / "log.txt", list[str]()
    path.write_bytes(b"epoch 1\n")
    live = LiveLog(path, LIMIT)

    def fail() -> None:
        raise UploadError("not now")

    with pytest.raises(UploadError):
        live.upload(fail)
    for _ in range(2):
        live.upload(lambda: calls.append("put"))
    assert calls == ["put"]
