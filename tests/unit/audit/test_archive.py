"""A phase goes into one archive and is audited from there as from the store; archives that mean harm are refused."""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alcove_audit.archive import INDEX, PhaseExport, open_archive
from alcove_audit.audit import PhaseAudit
from alcove_audit.errors import AuditError
from alcove_audit.findings import MISSING, AuditReport, Check
from alcove_store.errors import StoreError
from tests.unit.audit.world import World, play, play_final

LIMIT = 1 << 24


def export(world: World, *, solutions: bool = True, inputs: bool = True) -> bytes:
    source = replace(world.source, solutions=solutions, inputs=inputs)
    output = io.BytesIO()
    PhaseExport(source, world.state, AuditReport()).write(output)
    return output.getvalue()


def audit_archive(data: bytes, folder: Path) -> AuditReport:
    """Unpacks below a new folder in ``folder``."""
    path, report = folder / "phase.tar.gz", AuditReport()
    path.write_bytes(data)
    target = folder / f"unpacked-{len(list(folder.iterdir()))}"
    target.mkdir()
    source, state = open_archive(path, target, LIMIT, report)
    PhaseAudit(source, state, report).check_phase()
    return report


@pytest.mark.parametrize("made", [play, partial(play, "ladder"), play_final])
def test_an_archive_is_audited_as_the_store_is(made: Callable[[], World], tmp_path: Path) -> None:
    world = made()
    report, from_store = audit_archive(export(world), tmp_path), AuditReport()
    PhaseAudit(world.source, world.state, from_store).check_phase()
    assert report.findings == []
    assert report.checked.pop(Check.ARCHIVE) > len(world.objects)
    assert (report.checked, report.left_out) == (from_store.checked, from_store.left_out)


def test_a_prediction_of_a_repeat_that_was_changed_is_found(tmp_path: Path) -> None:
    world = play_final()
    key = next(key for key in sorted(world.objects) if "/d-news.2/" in key and "/snap/" in key)
    world.objects[key] = world.objects[key][:-1] + b"!"
    found = {finding.key for finding in audit_archive(export(world), tmp_path).findings}
    assert key in found


def test_the_same_phase_gives_the_same_bytes() -> None:
    assert export(play()) == export(play())


def test_without_solutions_no_score_is_computed_again_and_that_is_said(tmp_path: Path) -> None:
    data = export(play(), solutions=False)
    assert not any("solutions/" in name for name in names(data))
    report = audit_archive(data, tmp_path)
    assert report.findings == []
    assert not report.checked[Check.SOLUTION]
    reasons = {reason for check, reason in report.left_out if check in (Check.SCORE, Check.SOLUTION)}
    assert reasons == {"there is no solution to score by", "this archive has no solutions"}
    assert report.checked[Check.BOARD], "ranks follow from the scores"
    assert report.checked[Check.PREDICTION]


def test_without_inputs_their_digests_are_left_out(tmp_path: Path) -> None:
    data = export(play(), inputs=False)
    assert not any("/files/" in name for name in names(data))
    report = audit_archive(data, tmp_path)
    assert report.findings == []
    assert report.left_out[Check.INPUT, "files were left out, as asked"]


def names(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return archive.getnames()


def repack(data: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """The archive with other files, packed as an archiver does."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        files = {m.name: file.read() for m in archive if (file := archive.extractfile(m))}
    change(files)
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return output.getvalue()


EXPORTED = export(play())


@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_flipped_bit_of_any_file_is_found(data: st.DataObject, tmp_path: Path) -> None:
    name = data.draw(st.sampled_from(names(EXPORTED)))

    def flip(files: dict[str, bytes]) -> None:
        content = bytearray(files[name])
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= 1 << data.draw(st.integers(0, 7))
        files[name] = bytes(content)

    try:
        report = audit_archive(repack(EXPORTED, flip), tmp_path)
    except AuditError:
        return  # it cannot be read at all, and that is said
    assert any(name in finding.key or name in finding.expected for finding in report.findings)


def test_a_status_that_no_operator_writes_is_a_finding(tmp_path: Path) -> None:
    changed = next(name for name in names(EXPORTED) if name.startswith("cluster/submissions/"))

    def change(files: dict[str, bytes]) -> None:
        files[changed] = re.sub(rb'("codeSha256": ?")[0-9a-f]', rb"\1;", files[changed])
        assert b";" in files[changed]

    findings = audit_archive(repack(EXPORTED, change), tmp_path).findings
    assert [f.found for f in findings if f.check is Check.SCORE and f.key.startswith("Submission ")] == [
        "code_sha256: String should match pattern '^[0-9a-f]{64}$'"
    ]


def test_files_that_are_missing_or_were_added_are_named(tmp_path: Path) -> None:
    gone = next(name for name in names(EXPORTED) if name.endswith("rec/00000003.json"))

    def change(files: dict[str, bytes]) -> None:
        del files[gone]
        files["store/scores/x.json"] = b"{}"

    found = {
        f.key for f in audit_archive(repack(EXPORTED, change), tmp_path).findings if f.check is Check.ARCHIVE
    }
    assert found == {gone, "store/scores/x.json"}


def test_an_archive_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    for part in (0.3, 0.9):
        with pytest.raises(AuditError, match="Nothing of it was used"):
            audit_archive(EXPORTED[: int(len(EXPORTED) * part)], tmp_path)


def _member(name: str, **fields: object) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        for field, value in fields.items():
            setattr(member, field, value)
        archive.addfile(member, io.BytesIO(b"\0" * member.size))
    return output.getvalue()


HOSTILE = {
    "out": _member("store/../../out"),
    "absolute": _member("/etc/out"),
    "link": _member("store/runs", type=tarfile.SYMTYPE, linkname="/etc"),
    "hard": _member("store/passwd", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
    "device": _member("store/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
    "bomb": _member("store/zeros", size=LIMIT + 1),
    "none": gzip.compress(b"hello"),
    "empty": b"",
    "other": _member("readme.txt"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_archive_is_refused_and_writes_nothing_outside(what: str, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(AuditError, match=r"phase\.tar\.gz"):
        audit_archive(HOSTILE[what], inside)
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]


def test_documents_of_a_hostile_archive_lead_to_nothing_outside(tmp_path: Path) -> None:
    """Not even reading: what lies beside the archive is no object of it, whatever names it."""
    (tmp_path / "secret").write_bytes(b"secret")
    inside = tmp_path / "inside"
    inside.mkdir()
    escapes = ("../../../secret", str(tmp_path / "secret"), "a\0b", "x" * 5000, "store/../../../secret")

    def change(files: dict[str, bytes]) -> None:
        index = json.loads(files[INDEX])
        index["files"] += [{"path": path, "bytes": 6, "sha256": "0" * 64} for path in escapes]
        files[INDEX] = json.dumps(index).encode()
        pages = next(name for name in files if name.endswith("pages.json"))
        document = json.loads(files[pages])
        document["files"] += [
            {"path": f"../../../../{path}", "bytes": 6, "sha256": "0" * 64} for path in escapes
        ]
        files[pages] = json.dumps(document).encode()

    report = audit_archive(repack(EXPORTED, change), inside)
    outside = [f for f in report.findings if "secret" in f.key or len(f.key) > 4000 or "\0" in f.key]
    assert len(outside) == 2 * len(escapes)
    assert {finding.found for finding in outside} == {MISSING}


def test_an_object_that_changes_while_it_is_exported_is_no_evidence() -> None:
    world = play()
    source = world.source
    key = next(key for key in world.objects if key.startswith("runs/"))
    honest = source.list_sizes

    class Changing(type(source)):  # type: ignore[misc]
        def list_sizes(self, prefix: str) -> dict[str, int]:
            return {name: size + (name == key) for name, size in honest(prefix).items()}

    with pytest.raises(StoreError, match="changed while"):
        PhaseExport(Changing(source.objects), world.state, AuditReport()).write(io.BytesIO())


def test_a_key_that_no_archive_can_hold_is_named(tmp_path: Path) -> None:
    world = play()
    odd = next(key for key in world.objects if "/rec/" in key).rpartition("/")[0] + "/../x"
    world.objects[odd] = b"x"
    found = [f for f in audit_archive(export(world), tmp_path).findings if f.check is Check.EXTRA]
    assert [f.key for f in found] == [odd]


def test_the_index_comes_last() -> None:
    assert names(EXPORTED)[-1] == INDEX
