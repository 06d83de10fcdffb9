"""Unpacking a bundle: what a participant packs arrives, and nothing that it packs can leave the folder."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcove_store.errors import BundleError
from alcove_store.unpack import MAX_MEMBERS, file_names, unpack

LIMIT = 1 << 20
PARTS = st.sampled_from(["..", ".", "", "a", "b", "\0", "\udcff", "x" * 300, "é" * 200, "~", "C:\\"])
NAMES = st.lists(PARTS, max_size=4).map("/".join)


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def bundle(*members: tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz", format=format) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return raw.getvalue()


def unpacked(data: bytes, limit: int = LIMIT) -> dict[str, bytes]:
    """Relative path to content of what came out. Fails where anything else than files below the folder was made."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "b.tar.gz").write_bytes(data)
        (root / "code").mkdir()
        unpack(root / "b.tar.gz", root / "code", limit=limit)
        assert sorted(path.name for path in root.iterdir()) == ["b.tar.gz", "code"]
        return {
            str(path.relative_to(root / "code")): path.read_bytes()
            for path in (root / "code").rglob("*")
            if path.is_file()
        }


def refusal(data: bytes, limit: int = LIMIT) -> str:
    with pytest.raises(BundleError) as error:
        unpacked(data, limit)
    return str(error.value)


def test_what_is_packed_arrives() -> None:
    data = bundle(
        member("./"[:1], type=tarfile.DIRTYPE),
        member("./model.py", b"class Model: ..."),
        member("weights/best/w.bin", bytes(300_000)),
    )
    assert unpacked(data) == {"model.py": b"class Model: ...", "weights/best/w.bin": bytes(300_000)}


def test_files_are_read_only_and_for_all(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(bundle(member("model.py", b"x", mode=0o4777), member("notes", b"x", mode=0)))
    assert unpack(tmp_path / "b", tmp_path / "code", limit=LIMIT) == 2
    assert (tmp_path / "code" / "model.py").stat().st_mode & 0o7777 == 0o555
    assert (tmp_path / "code" / "notes").stat().st_mode & 0o7777 == 0o444


@pytest.mark.parametrize("name", ["/etc/cron.d/x", "../x", "a/../../x", "a/" * 300 + "x"])
def test_a_path_that_leads_out_is_refused(name: str) -> None:
    assert "path" in refusal(bundle(member(name, b"x")))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]
)
def test_links_and_devices_are_refused(kind: bytes) -> None:
    assert "neither a plain file nor a folder" in refusal(bundle(member("x", type=kind, linkname="model.py")))


def test_a_name_that_comes_twice_is_refused() -> None:
    for first, second in (("x", "x"), ("x", "./x"), ("x", "x/y"), ("x/y", "x"), ("x/y/z", "x/y")):
        twice = bundle(member(first, b"1"), member(second, b"2"))
        assert "more than once" in refusal(twice)
        with pytest.raises(BundleError, match="more than once"):
            file_names(io.BytesIO(twice), limit=LIMIT)
    assert "more than once" in refusal(bundle(member("x", type=tarfile.DIRTYPE), member("x", b"2")))
    folders = bundle(
        member("x", type=tarfile.DIRTYPE), member("x", type=tarfile.DIRTYPE), member("x/y", b"1")
    )
    assert unpacked(folders) == {"x/y": b"1"}


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE])), max_size=5))
def test_what_can_be_unpacked_is_known_without_unpacking(members: list[tuple[str, bytes]]) -> None:
    """So a bundle that the run could not start with is refused before it costs one."""
    data = bundle(*(member(name, type=kind) for name, kind in members), format=tarfile.GNU_FORMAT)
    try:
        names = file_names(io.BytesIO(data), limit=LIMIT)
    except BundleError:
        refusal(data)
    else:
        assert sorted(unpacked(data)) == sorted(names)


def test_sizes_and_counts_are_bounded() -> None:
    assert unpacked(bundle(member("x", bytes(LIMIT))))
    assert "Leave out" in refusal(bundle(member("x", bytes(LIMIT + 1))))
    assert "Leave out" in refusal(bundle(*(member(str(n)) for n in range(MAX_MEMBERS + 1))))


class Entries(io.RawIOBase):
    """A bundle of ten million empty files, packed while it is read."""

    def __init__(self) -> None:
        self.made = 0
        self._packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
        self._packed = b""

    def read(self, size: int = -1) -> bytes:
        while len(self._packed) < size and self.made < 10_000_000:
            self.made += 1
            self._packed += self._packer.compress(tarfile.TarInfo(str(self.made)).tobuf(tarfile.USTAR_FORMAT))
        piece, self._packed = self._packed[:size], self._packed[size:]
        return piece


def test_of_ten_million_entries_only_those_that_may_be_taken_are_read() -> None:
    entries = Entries()
    with pytest.raises(BundleError, match=f"more than {MAX_MEMBERS} members"):
        file_names(cast(BinaryIO, entries), limit=LIMIT)
    # What is read ahead: 8 KiB, and what the packer holds back.
    assert MAX_MEMBERS < entries.made < 2 * MAX_MEMBERS


def test_folders_are_counted_too() -> None:
    """A short header can name a hundred folders: a small bundle of them would use up the node's inodes."""
    deep = "/".join(["a"] * 60)
    assert unpacked(bundle(member(f"{deep}/x")))
    many = bundle(*(member(f"{n}/{deep}/x") for n in range(MAX_MEMBERS // 50)))
    assert "folders" in refusal(many)
    with pytest.raises(BundleError, match="folders"):
        file_names(io.BytesIO(many), limit=LIMIT)


def test_gzip_streams_one_behind_the_other_are_refused() -> None:
    """Empty ones take 20 bytes each and give nothing, so no limit on what is unpacked would end them."""
    data = bundle(member("model.py", b"x"))
    assert "one behind the other" in refusal(gzip.compress(b"") * 3 + data)
    raw = gzip.decompress(data)
    assert "one behind the other" in refusal(gzip.compress(raw[:600]) + gzip.compress(raw[600:]))
    assert unpacked(data + bytes(512)) == {"model.py": b"x"}  # padding is no stream


def test_a_bomb_is_not_unpacked_to_find_out() -> None:
    head = tarfile.TarInfo("x")
    head.size = 1 << 40
    assert "Leave out" in refusal(gzip.compress(head.tobuf() + bytes(4 << 20)))
    # Extended headers are read whole by the standard library: refused before that.
    head.type, head.size = tarfile.XHDTYPE, 512 << 20
    assert "header" in refusal(gzip.compress(head.tobuf(tarfile.USTAR_FORMAT) + bytes(4 << 20)), 1 << 30)
    head.type = tarfile.GNUTYPE_LONGNAME
    assert "header" in refusal(gzip.compress(head.tobuf(tarfile.USTAR_FORMAT) + bytes(4 << 20)), 1 << 30)


def test_names_are_told_without_unpacking() -> None:
    data = bundle(member("d", type=tarfile.DIRTYPE), member("./model.py", b"x"), member("d/w", b"y"))
    assert file_names(io.BytesIO(data), limit=LIMIT) == ["model.py", "d/w"]
    with pytest.raises(BundleError, match="path"):
        file_names(io.BytesIO(bundle(member("../x", b"x"))), limit=LIMIT)


def test_large_members_are_no_headers() -> None:
    """Names are read by passing over the members between them, which once counted as headers."""
    weights = {f"weights/{number}.bin": bytes(9 << 20) for number in range(3)}
    packed = bundle(*(member(name, data) for name, data in weights.items()), member("model.py", b"x"))
    assert file_names(io.BytesIO(packed), limit=64 << 20) == [*weights, "model.py"]
    assert unpacked(packed, limit=64 << 20) == {**weights, "model.py": b"x"}


def extended(kind: bytes, content: bytes) -> bytes:
    """An extended header, padded to whole blocks."""
    head = tarfile.TarInfo("x")
    head.type, head.size = kind, len(content)
    return head.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % 512)


def pax(fields: int, value: bytes) -> bytes:
    lines = b""
    for number in range(fields):
        rest = b" %05d=%b\n" % (number, value)
        length = len(rest) + len(str(len(rest)))
        length += len(str(length)) - len(str(len(rest)))
        lines += b"%d%b" % (length, rest)
    return lines


FILE = tarfile.TarInfo("f").tobuf(tarfile.USTAR_FORMAT)
GNU_SPARSE = bytearray(tarfile.TarInfo("s").tobuf(tarfile.USTAR_FORMAT))
GNU_SPARSE[156:157] = tarfile.GNUTYPE_SPARSE
GNU_SPARSE[482] = 1  # "extended": blocks of holes follow
GNU_SPARSE[148:156] = b"%06o\0 " % (sum(GNU_SPARSE[:148]) + sum(GNU_SPARSE[156:]) + 8 * 32)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(extended(tarfile.GNUTYPE_LONGNAME, b"a" * (64 << 20)), id="one-name"),
        pytest.param(extended(tarfile.GNUTYPE_LONGNAME, b"a" * (200 << 10)) * 200 + FILE, id="nested-names"),
        pytest.param((extended(tarfile.XHDTYPE, pax(1, b"a" * 90_000)) + FILE) * 400, id="fields-of-many"),
        pytest.param(
            bytes(GNU_SPARSE) + (b"1".ljust(12, b"\0") * 42 + b"\1" + bytes(7)) * 40_000, id="holes"
        ),
    ],
)
def test_a_small_bundle_cannot_take_much_memory(raw: bytes) -> None:
    """What packs to little; the standard library alone would hold it whole."""
    data = gzip.compress(raw, 1)
    del raw
    tracemalloc.start()
    try:
        with pytest.raises(BundleError):
            file_names(io.BytesIO(data), limit=1 << 30)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_global_headers_cannot_take_much_time() -> None:
    """Each member that follows would copy all of them."""
    many = b"".join(extended(tarfile.XGLTYPE, pax(101, b"")) for _ in range(2)) + FILE
    with pytest.raises(BundleError, match="global"):
        file_names(io.BytesIO(gzip.compress(many)), limit=LIMIT)
    few = extended(tarfile.XGLTYPE, pax(1, b"commit")) + FILE + bytes(1024)
    assert file_names(io.BytesIO(gzip.compress(few)), limit=LIMIT) == ["f"]


def test_a_negative_size_leads_nowhere() -> None:
    head = bytearray(tarfile.TarInfo("f").tobuf(tarfile.USTAR_FORMAT))
    head[124:136] = b"\xff" * 10 + b"\xfe\x00"  # -512, as GNU tar writes numbers
    head[148:156] = b"%06o\0 " % (sum(head[:148]) + sum(head[156:]) + 8 * 32)
    refusal(gzip.compress(FILE + bytes(head) + bytes(2048)))


def test_a_damaged_bundle_is_a_sentence() -> None:
    data = bundle(member("model.py", bytes(range(256)) * 100))
    ends_in_holes = gzip.compress(bytes(GNU_SPARSE))
    for damaged in (
        b"",
        data[: len(data) // 2],
        b"PK\x03\x04" + data,
        gzip.compress(b"hello"),
        ends_in_holes,
    ):
        assert "Nothing of it was run." in refusal(damaged)


def never_leaves(data: bytes) -> None:
    try:
        unpacked(data, 100_000)
    except BundleError:
        return


@settings(deadline=None)
@given(st.binary(max_size=2000))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    never_leaves(data)
    never_leaves(gzip.compress(data))


FLIPS = st.lists(st.tuples(st.integers(0, 3071), st.integers(0, 255)), max_size=12)


@settings(deadline=None)
@given(flips=FLIPS)
def test_an_archive_with_changed_bytes_stays_inside(flips: list[tuple[int, int]]) -> None:
    raw = bytearray(gzip.decompress(bundle(member("a/b", b"x" * 600), member("é" * 60, b"y"))))
    for place, value in flips:
        raw[place] = value
    never_leaves(gzip.compress(bytes(raw), 1))


@settings(deadline=None)
@given(st.lists(NAMES, max_size=4), st.sampled_from([b"0", b"5", b"1", b"2"]))
def test_no_name_leads_out(names: list[str], kind: bytes) -> None:
    make: Callable[[str], tuple[tarfile.TarInfo, bytes]] = lambda name: member(  # noqa: E731
        name, b"x" if kind == b"0" else b"", type=kind, linkname="../../b.tar.gz"
    )
    never_leaves(bundle(*(make(name) for name in names), format=tarfile.GNU_FORMAT))
