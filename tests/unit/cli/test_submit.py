"""What `alcove submit` reads, packs and chooses, and what `alcove watch` says."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcove_cli import code_folder
from alcove_cli.code_folder import CONFIG_MAP_BYTES, fits_config_map, pack_bundle, read_folder
from alcove_cli.errors import CommandError
from alcove_cli.submit import Target
from alcove_cli.watch import state_line
from alcove_operator.code_archives import check_archive
from alcove_store.pack import pack_files

PATHS = st.text("abcXYZ019-_. é", min_size=1, max_size=120).filter(lambda name: name.strip("."))
FILES = st.dictionaries(PATHS, st.binary(max_size=200), max_size=6)


def folder(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(name)
    return path


@given(FILES)
def test_a_bundle_is_the_same_for_the_same_files(files: dict[str, bytes]) -> None:
    packed = pack_files(files)
    assert packed == pack_files(dict(reversed(files.items())))
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as archive:
        found = {m.name: archive.extractfile(m) for m in archive.getmembers()}
        assert {name: file.read() for name, file in found.items() if file} == files


def test_the_operator_takes_the_bundle(tmp_path: Path) -> None:
    files = read_folder(folder(tmp_path, "model.py", "weights/deep/layer.bin"))
    check_archive(io.BytesIO(pack_files(files)), 1 << 20)


def test_two_packings_have_one_digest(tmp_path: Path) -> None:
    first, second = (folder(tmp_path / n, "model.py", "lib/util.py") for n in ("first", "second"))
    digests = {hashlib.sha256(pack_files(read_folder(f))).hexdigest() for f in (first, second)}
    assert len(digests) == 1


def test_caches_and_manifests_stay_behind(tmp_path: Path) -> None:
    made = folder(
        tmp_path, "model.py", "__pycache__/model.pyc", ".git/HEAD", "submission.yaml", "kustomization.yaml",
        "kustomizeconfig.yaml",
        "lib/util.py", "lib/__pycache__/util.pyc", "assets/submission.yaml",
    )  # fmt: skip
    assert set(read_folder(made)) == {"model.py", "lib/util.py", "assets/submission.yaml"}


def test_what_the_ignore_file_names_stays_behind(tmp_path: Path) -> None:
    made = folder(tmp_path, "model.py", "data/big.bin", "data/kept.bin", "deep/notes.md", "notes.md")
    (made / ".alcoveignore").write_text("# mine\n*.bin\n!kept.bin\n/notes.md\n")
    assert list(read_folder(made)) == ["data/kept.bin", "deep/notes.md", "model.py"]


@pytest.mark.parametrize("text", [b"model.py", b"*", b"\xff", b"!"])
def test_an_ignore_file_that_leaves_nothing_to_run_is_said(tmp_path: Path, text: bytes) -> None:
    made = folder(tmp_path, "model.py")
    (made / ".alcoveignore").write_bytes(text)
    with pytest.raises(
        CommandError, match=r"\.alcoveignore (leaves out model\.py|is no text|cannot be read)"
    ):
        read_folder(made)


def test_a_bundle_is_measured_before_it_is_uploaded(capsys: pytest.CaptureFixture[str]) -> None:
    files = {"model.py": b"", "weights/a.bin": os.urandom(3 << 20), "b.bin": b"x"}
    assert pack_bundle(files, 4 << 20)
    assert capsys.readouterr().err == (
        "The code is uploaded as a bundle: 3 files, 3.0 MiB of at most 4.0 MiB.\n"
    )
    with pytest.raises(
        CommandError, match=r"has 3\.0 MiB, but may have 2\.0 MiB in this .*weights/a\.bin \(3\.0 MiB\)"
    ):
        pack_bundle(files, 2 << 20)


def test_what_stage_would_not_unpack_is_not_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_folder, "UNPACKED_BYTES", 100)
    with pytest.raises(CommandError, match=r"has 101 B, but may have 100 B unpacked"):
        pack_bundle({"model.py": bytes(101)}, None)


def test_where_the_folder_lies_does_not_matter(tmp_path: Path) -> None:
    assert set(read_folder(folder(tmp_path / "__pycache__" / "mine", "model.py"))) == {"model.py"}


@pytest.mark.parametrize("names", [(), ("deep/model.py",), ("main.py",)])
def test_a_folder_without_model_py_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match=r"no model\.py at its top"):
        read_folder(folder(tmp_path, *names))


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is not a folder"):
        read_folder(folder(tmp_path, "model.py") / "model.py")


@pytest.mark.parametrize(
    ("files", "fits"),
    [
        ({"model.py": b"x"}, True),
        ({"model.py": b"x" * CONFIG_MAP_BYTES}, True),
        ({"model.py": b"x" * CONFIG_MAP_BYTES, "more.py": b"x"}, False),
        ({"model.py": b"x", "lib/util.py": b"x"}, False),
        ({"model.py": b"x", "a name.py": b"x"}, False),
    ],
)
def test_a_config_map_takes_what_is_small_and_flat(files: dict[str, bytes], fits: bool) -> None:
    assert fits_config_map(files) is fits


@pytest.mark.parametrize("text", ["cup", "cup/cup"])
def test_a_competition_may_be_named_once(text: str) -> None:
    assert Target(text, "practice", "red").reference() == {"namespace": "cup", "name": "cup"}


def submission(**status: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "red", "name": "one"}, "status": status}


@pytest.mark.parametrize(
    ("found", "line"),
    [
        ({"metadata": {"namespace": "red", "name": "one"}}, "red/one: waiting"),
        (submission(phase="Rejected", cause="QuotaExceeded"), "red/one: Rejected — QuotaExceeded"),
        (
            submission(
                phase="Queued", cause="Place ≤8", message="Place ≤8 in the queue: all 4 places are taken."
            ),
            "red/one: Queued — Place ≤8",
        ),
        (
            submission(phase="Queued", cause="Waiting", message="Waiting for a node since 12:31 UTC: 0/1…"),
            "red/one: Queued — Waiting for a node since 12:31 UTC: 0/1…",
        ),
        (
            submission(phase="Running", runs=[{"phase": "Done"}, {"phase": "Running"}, {"phase": "Done"}]),
            "red/one: Running (2 done, 1 running)",
        ),
    ],
)
def test_a_line_says_how_far_it_is(found: dict[str, Any], line: str) -> None:
    assert state_line(found) == line
