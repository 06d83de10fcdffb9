"""Packing and looking through code, without a store."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import tarfile
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcove_operator.code_archives import check_archive, config_map_archive
from alcove_operator.errors import CodeError
from alcove_store.pack import pack_files

NAMES = st.from_regex(r"[-._a-zA-Z0-9]{1,20}", fullmatch=True).filter(lambda n: n not in (".", ".."))


@given(files=st.dictionaries(NAMES, st.binary(max_size=200), max_size=5), data=st.data())
def test_same_files_same_bytes_whatever_the_order(files: dict[str, bytes], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(sorted(files)))
    encoded = {name: base64.b64encode(files[name]).decode() for name in shuffled}
    archive = config_map_archive({}, encoded)
    assert archive == config_map_archive({}, dict(sorted(encoded.items())))
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as members:
        found = {m.name: members.extractfile(m).read() for m in members}  # type: ignore[union-attr]
        assert found == files
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as members:
        assert all((m.uid, m.gid, m.mtime) == (0, 0, 0) for m in members)


def test_a_key_may_be_as_long_as_kubernetes_lets_it() -> None:
    name = "m" * 250 + ".py"
    archive = config_map_archive({"model.py": "x = 1\n", name: "y"}, {})
    check_archive(io.BytesIO(archive), 1 << 20)
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as members:
        assert sorted(members.getnames()) == [name, "model.py"]


def test_text_and_binary_keys_are_both_files() -> None:
    archive = config_map_archive({"model.py": "x = 1\n"}, {"w.bin": base64.b64encode(b"\0\1").decode()})
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as members:
        assert sorted(members.getnames()) == ["model.py", "w.bin"]
    check_archive(io.BytesIO(archive), 1 << 20)


def _tar(*names: str, size: int = 3) -> bytes:
    return pack_files(dict.fromkeys(names, b"x" * size))


@pytest.mark.parametrize(
    "names",
    [
        ("model.py",),
        ("./model.py", "./data/a"),
        ("z", "model.py"),
        ("AutoDL_sample_code_submission/model.py",),
    ],
)
def test_model_at_the_top_or_where_the_autodl_kit_has_it_is_accepted(names: tuple[str, ...]) -> None:
    check_archive(io.BytesIO(_tar(*names)), 100)


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (b"", "BundleUnreadable"),
        (b"PK\3\4 a zip", "BundleUnreadable"),
        (gzip.compress(b"not a tar"), "BundleUnreadable"),
        (_tar("model.py", size=90)[:-20], "BundleUnreadable"),
        (_tar("../x", "model.py"), "BundleUnreadable"),
        (_tar("folder/model.py"), "NoModel"),
        (_tar("Model.py"), "NoModel"),
        (_tar("model.py", "big", size=99), "BundleTooLarge"),
    ],
    ids=["empty", "zip", "no tar", "cut off", "outside", "in a folder", "other case", "too large"],
)
def test_what_cannot_be_run_is_refused_with_a_remedy(archive: bytes, reason: str) -> None:
    with pytest.raises(CodeError) as caught:
        check_archive(io.BytesIO(archive), 100)
    assert caught.value.reason == reason
    assert caught.value.remedy in str(caught.value)


def test_a_small_bundle_cannot_take_the_operators_memory() -> None:
    """A name of 64 MiB packs to little; the standard library alone would hold it, and more than once."""
    head = tarfile.TarInfo("x")
    head.type, head.size = tarfile.GNUTYPE_LONGNAME, 64 << 20
    bomb = gzip.compress(head.tobuf(tarfile.USTAR_FORMAT) + bytes(64 << 20), 1)
    tracemalloc.start()
    try:
        with pytest.raises(CodeError):
            check_archive(io.BytesIO(bomb), 1 << 30)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


SOUND = config_map_archive({f"{i}.py": f"value = {i * 7919}\n" * (i + 1) for i in range(40)}, {})


@given(at=st.integers(0, len(SOUND) - 1), damage=st.binary(min_size=1, max_size=40))
def test_damage_anywhere_is_at_worst_a_refusal(at: int, damage: bytes) -> None:
    damaged = SOUND[:at] + damage + SOUND[at + len(damage) :]
    with contextlib.suppress(CodeError):
        check_archive(io.BytesIO(damaged), 1 << 20)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_raise_anything_else(data: bytes) -> None:
    for archive in (data, gzip.compress(data)):
        with pytest.raises(CodeError):
            check_archive(io.BytesIO(archive), 100)
