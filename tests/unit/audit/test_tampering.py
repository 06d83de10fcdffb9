"""Whatever is changed, added or taken away in the store, or in the status, is named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcove_api import keys
from alcove_api.run_documents import Manifest, Record
from alcove_audit.findings import AuditReport, Check
from tests.unit.audit.test_audit import audit
from tests.unit.audit.world import GONE, TEAMS, World, blind, play, sha256, uid, view_of

RED = uid(0)
RUN = keys.attempt_prefix(RED, "d-digits", 1, "pod-1")
OTHER = keys.attempt_prefix(uid(1), "d-digits", 1, "pod-1")
REPEATED = keys.attempt_prefix(RED, "d-news", 1, "pod-1")
PLACE = ("arena", "cup", "practice")


def named(report: AuditReport) -> dict[str, set[Check]]:
    found: dict[str, set[Check]] = {}
    for finding in report.findings:
        found.setdefault(finding.key, set()).add(finding.check)
    return found


def score_of(world: World, team: str) -> str:
    view = view_of(world, team)
    return keys.score_result(view.uid, view.status.scoring_digest)


def edited(data: bytes, **changes: Any) -> bytes:
    """A JSON document, in its canonical form, with other fields."""
    document = {**json.loads(data), **changes}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@given(data=st.data(), mode=st.sampled_from(["final", "ladder"]))
@settings(max_examples=60, deadline=None)
def test_any_flipped_bit_of_any_object_is_found(data: st.DataObject, mode: str) -> None:
    """The object is named, as what differs or as what says that another does."""
    world = play(mode)
    key = data.draw(st.sampled_from(sorted(world.objects)))
    content = bytearray(world.objects[key])
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    world.objects[key] = bytes(content)
    assert any(finding.key == key or key in finding.expected for finding in audit(world).findings)


def test_any_removed_object_is_found() -> None:
    """Of repeated attempts, earlier scores and copies for teams too; of a Submission that is gone, what counts."""
    world = play()
    last = score_of(world, TEAMS[0]).rpartition("/")[2]
    of_gone = {k for k in world.objects if re.search(rf"^scores/{uid(2)}/[0-9a-f]{{16}}.json$", k)}
    of_gone.add(keys.team_report(GONE, uid(2)))
    for key in sorted(world.objects):
        if key not in of_gone or key.endswith(last):
            content = world.objects.pop(key)
            assert key in named(audit(world)), key
            world.objects[key] = content


@pytest.mark.parametrize("held_back", [False, True])
def test_a_repeated_attempt_that_is_gone_as_a_whole_is_named(held_back: bool) -> None:
    world = blind(play()) if held_back else play()
    for key in [key for key in world.objects if key.startswith(REPEATED)]:
        del world.objects[key]
    assert named(audit(world)) == {REPEATED: {Check.RECORD}}


def test_an_attempt_that_nobody_saw_is_named() -> None:
    """Also one that says to be an earlier attempt, and is whole in itself."""
    world = play()
    copied = {key.replace(REPEATED, f"{REPEATED}0"): d for key, d in world.objects.items() if REPEATED in key}
    world.objects |= copied
    assert named(audit(world)) == {key: {Check.EXTRA} for key in copied}


ADDED = [
    f"{RUN}/snap/00000005.bin", f"{RUN}/snap/00000002.bin", f"{RUN}/rec/00000005.json", f"{RUN}/notes.txt",
    f"runs/{RED}/d-digits/2-pod-2/rec/00000000.json", f"runs/{RED}/d-other/verdict.json", f"runs/{RED}/x",
    f"scores/{RED}/x.html", f"scores/{RED}/0123456789abcdef.json", keys.board(*PLACE, "x.json"),
    keys.board(*PLACE, "request-03.json"), keys.team_report(TEAMS[0], uid(7)), f"reports/{TEAMS[0]}/x.html",
]  # fmt: skip


@pytest.mark.parametrize("key", ADDED)
def test_an_added_object_is_found(key: str) -> None:
    world = play()
    world.objects[key] = b"{}"
    assert key in named(audit(world))


def test_a_file_added_to_a_dataset_is_found() -> None:
    world = play()
    key = keys.dataset_file(world.datasets[0]["spec"]["dataSha256"], "train/more")
    world.objects[key] = b"more"
    assert named(audit(world)) == {key: {Check.EXTRA}}


FIELDS: dict[str, Any] = {
    "seq": 7, "name": "b.npy", "kind": "predict", "seen_ns": 5, "t_ns": 3 * 10**9, "sha256": "0" * 64, "bytes": 9,
    "refused": "It is too large.", "previous": "0" * 64,
}  # fmt: skip


def test_every_field_of_a_record_is_tried() -> None:
    assert FIELDS.keys() == Record.model_fields.keys()


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_a_record_that_was_changed_is_named(field: str) -> None:
    world = play()
    key = keys.record(RUN, 1)
    world.objects[key] = edited(world.objects[key], **{field: FIELDS[field]})
    report = audit(world)
    assert set(named(report)) == {key}, "the record alone"
    assert any(field in finding.expected and field in finding.found for finding in report.findings)


@pytest.mark.parametrize("field", FIELDS)
def test_a_record_that_was_changed_in_its_file_and_in_the_manifest_is_found(field: str) -> None:
    """By whoever could write both: the manifest's digest is in the score, the head in the status."""
    world = play()
    key, manifest = keys.record(RUN, 4), keys.manifest(RUN)
    world.objects[key] = edited(world.objects[key], **{field: FIELDS[field]})
    listed = json.loads(world.objects[manifest])["records"]
    listed[4] = json.loads(world.objects[key])
    head = Record.model_validate(listed[4]).digest()
    world.objects[manifest] = edited(world.objects[manifest], records=listed, head=head)
    found = named(audit(world))
    assert Check.HEAD in found[manifest]


def _truncate(world: World) -> set[str]:
    """Takes the last record away, as if it had never been: from the manifest too, which is then whole in itself."""
    manifest = Manifest.model_validate_json(world.objects[keys.manifest(RUN)])
    shorter = manifest.replace(records=manifest.records[:-1], head=manifest.records[-2].digest())
    world.objects[keys.manifest(RUN)] = shorter.canonical()
    del world.objects[keys.record(RUN, 4)], world.objects[keys.snapshot(RUN, 4)]
    return {keys.manifest(RUN)}


def _reorder(world: World) -> set[str]:
    swapped = keys.record(RUN, 0), keys.record(RUN, 1)
    first, second = (world.objects[key] for key in swapped)
    world.objects |= {swapped[0]: second, swapped[1]: first}
    return set(swapped)


def _swap_predictions(world: World) -> set[str]:
    keys_ = keys.snapshot(RUN, 0), keys.snapshot(OTHER, 0)
    one, other = (world.objects[key] for key in keys_)
    world.objects |= {keys_[0]: other, keys_[1]: one}
    return set(keys_)


def _swap_runs(world: World) -> set[str]:
    """Every object of one team's run for the other's: each is whole in itself."""
    one = {key.removeprefix(RUN): data for key, data in world.objects.items() if key.startswith(RUN)}
    other = {key.removeprefix(OTHER): data for key, data in world.objects.items() if key.startswith(OTHER)}
    world.objects |= {RUN + key: data for key, data in other.items()}
    world.objects |= {OTHER + key: data for key, data in one.items()}
    return {keys.manifest(RUN), keys.manifest(OTHER)}


def _shorten_prediction(world: World) -> set[str]:
    key = keys.snapshot(RUN, 3)
    world.objects[key] = world.objects[key][:-1]
    return {key}


def _lengthen_prediction(world: World) -> set[str]:
    key = keys.snapshot(RUN, 3)
    world.objects[key] += b"\0"
    return {key}


def _change_log(world: World) -> set[str]:
    key = keys.log(RUN)
    world.objects[key] = b"epoch 9\n"
    return {key}


def test_a_ladder_that_the_runs_do_not_give_is_named() -> None:
    """A best that no run reached, one that was taken away, and a value in a score that the chain does not have."""
    world = play("ladder")
    place = (*PLACE, view_of(world, TEAMS[0]).status.scoring_digest, TEAMS[0], "d-digits")
    key = keys.ladder_best(keys.ladder(*place), 0)
    content = world.objects.pop(key)
    assert Check.LADDER in named(audit(world))[score_of(world, TEAMS[0])]
    world.objects[key] = edited(content, shown=0.99)
    assert Check.LADDER in named(audit(world))[key]


def _raise_score(world: World) -> set[str]:
    """In the store alone."""
    key = score_of(world, TEAMS[0])
    runs = json.loads(world.objects[key])["runs"]
    runs[0]["alc"] += 0.1
    world.objects[key] = edited(world.objects[key], runs=runs)
    return {key}


def _exchange_scores(world: World) -> set[str]:
    mine, theirs = score_of(world, TEAMS[0]), score_of(world, TEAMS[1])
    world.objects[mine], world.objects[theirs] = world.objects[theirs], world.objects[mine]
    return {mine, theirs}


def _change_earlier_score(world: World) -> set[str]:
    (key,) = (k for k in world.objects if k.startswith(f"scores/{RED}/") and _is_earlier(world, k))
    runs = json.loads(world.objects[key])["runs"]
    runs[1]["points"][0]["score"] += 1e-9
    world.objects[key] = edited(world.objects[key], runs=runs)
    return {key}


def _is_earlier(world: World, key: str) -> bool:
    return len(key.rpartition("/")[2]) == 21 and key != score_of(world, TEAMS[0])


def _change_pages_with_their_digests(world: World) -> set[str]:
    """By whoever can write both: the digest of the list is in the status."""
    key, index = keys.report(RED), keys.score_pages(RED)
    world.objects[key] = world.objects[keys.team_report(TEAMS[0], RED)] = b"<p>first</p>"
    files = json.loads(world.objects[index])["files"]
    changed = [f for f in files if f["path"] == "report.html"]
    changed[0] |= {"bytes": len(world.objects[key]), "sha256": sha256(world.objects[key])}
    world.objects[index] = edited(world.objects[index], files=files)
    return {index}


def _change_copy(world: World) -> set[str]:
    """The report that the team reads."""
    key = keys.team_report(TEAMS[0], RED)
    world.objects[key] = b"<p>first</p>"
    return {key}


def _change(key: str) -> Callable[[World], set[str]]:
    def change(world: World) -> set[str]:
        world.objects[key] = world.objects[key].replace(b"e", b"i", 1)
        return {key}

    return change


def _change_solution(world: World) -> set[str]:
    key = next(key for key in world.objects if key.startswith("solutions/"))
    world.objects[key] = world.objects[key].replace(b"0", b"1", 1)
    return {key}


def _change_input(world: World) -> set[str]:
    key = keys.dataset_file(world.datasets[0]["spec"]["dataSha256"], "train/digits-0")
    world.objects[key] = b"other"
    return {key}


def _change_code(world: World) -> set[str]:
    key = keys.code(view_of(world, TEAMS[0]).status.code_sha256)
    world.objects[key] = b"other"
    return {key}


def _withdraw_deleted(world: World) -> set[str]:
    """The team's deleted Submission no longer stands."""
    key = keys.board(*PLACE, "counted.json")
    entries = [e for e in json.loads(world.objects[key])["entries"] if e["team"] != GONE]
    world.objects[key] = edited(world.objects[key], entries=entries)
    return {key}


def _change_board(world: World) -> set[str]:
    key = keys.board(*PLACE, "table.json")
    table = json.loads(world.objects[key])
    table["entries"][0]["rank"], table["entries"][1]["rank"] = 2, 1
    world.objects[key] = edited(world.objects[key], entries=table["entries"])
    return {key}


TAMPERED = [
    _truncate, _reorder, _swap_predictions, _swap_runs, _shorten_prediction, _lengthen_prediction, _change_log,
    _raise_score, _exchange_scores, _change_earlier_score, _change_solution, _change_input, _change_code,
    _change_pages_with_their_digests, _change_copy,
    _withdraw_deleted, _change_board, _change(keys.report(RED)), _change(keys.board(*PLACE, "leaderboard.html")),
    _change(keys.board(*PLACE, "history.json")), _change(keys.board(*PLACE, "curves.json")),
    _change(keys.board_request(*PLACE, 3)), _change(keys.verdict(RED, "d-news")), _change(keys.manifest(REPEATED)),
]  # fmt: skip


@pytest.mark.parametrize("tamper", TAMPERED, ids=lambda t: t.__qualname__)
def test_what_was_tampered_with_is_named(tamper: Callable[[World], set[str]]) -> None:
    world = play()
    wanted = tamper(world)
    report = audit(world)
    assert wanted <= set(named(report)), [f.key for f in report.findings]
    assert all(finding.meaning for finding in report.findings)


def test_a_head_in_the_status_that_is_another_is_named() -> None:
    world = play()
    world.submission(TEAMS[0])["status"]["runs"][0]["head"] = "0" * 64
    assert Check.HEAD in named(audit(world))[keys.manifest(RUN)]


STATUS: dict[str, Any] = {
    "rank": 9,
    "averageRank": 9.0,
    "counted": False,
    "codeSha256": "0" * 64,
    "scoreSha256": "0" * 64,
    "pagesSha256": "0" * 64,
    "earlierScores": [{"scoringDigest": "0" * 16, "scoreSha256": "0" * 64}],
}


@pytest.mark.parametrize("field", STATUS)
def test_a_field_of_the_status_that_is_another_is_found(field: str) -> None:
    world = play()
    world.submission(TEAMS[1])["status"][field] = STATUS[field]
    assert audit(world).findings


@pytest.mark.parametrize(
    ("field", "value"), [("alc", 0.999), ("snapshots", 9), ("curve", []), ("attempt", 3)]
)
def test_a_score_in_the_status_that_is_another_is_found(field: str, value: object) -> None:
    world = play()
    world.submission(TEAMS[0])["status"]["runs"][1][field] = value
    assert audit(world).findings


def test_ranks_of_the_leaderboard_that_the_scores_do_not_give_are_named() -> None:
    world = play()
    entries = world.leaderboard["status"]["entries"]
    entries[0]["team"], entries[1]["team"] = entries[1]["team"], entries[0]["team"]
    assert named(audit(world)) == {"Leaderboard arena/practice": {Check.BOARD}}


def test_a_team_that_was_put_in_anothers_place_on_the_board_is_named() -> None:
    """The request too is made of what counts, whoever wrote it."""
    world = play()
    key = keys.board_request(*PLACE, 3)
    request = json.loads(world.objects[key])
    request["entries"][0]["created_at"] = "2026-10-01T00:00:00Z"
    world.objects[key] = edited(world.objects[key], **request)
    world.leaderboard["status"]["files"] = []
    assert Check.COUNTED in named(audit(world))[key]


@pytest.mark.parametrize("revealed", [False, True])
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_flipped_bit_of_before_a_reveal_is_found(revealed: bool, data: st.DataObject) -> None:
    """The status holds commitments from the end of a run on, and keeps them after the reveal."""
    world = blind(play(), revealed=revealed)
    key = data.draw(st.sampled_from(sorted(world.objects)))
    content = bytearray(world.objects[key])
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    world.objects[key] = bytes(content)
    assert any(finding.key == key or key in finding.expected for finding in audit(world).findings)


def test_runs_that_were_changed_with_their_scores_before_a_reveal_are_named() -> None:
    """All that lies in the store agrees again: the last record is another, and so are manifest, verdict and score."""
    world = blind(play())
    key, manifest, verdict = keys.record(RUN, 4), keys.manifest(RUN), keys.verdict(RED, "d-digits")
    world.objects[key] = edited(world.objects[key], seen_ns=29 * 10**9)
    listed = json.loads(world.objects[manifest])["records"]
    listed[4] = json.loads(world.objects[key])
    head = Record.model_validate(listed[4]).digest()
    world.objects[manifest] = edited(world.objects[manifest], records=listed, head=head)
    world.objects[verdict] = edited(world.objects[verdict], head=head)
    runs = json.loads(world.objects[score_of(world, TEAMS[0])])["runs"]
    runs[0] |= {
        "manifest_sha256": sha256(world.objects[manifest]),
        "verdict_sha256": sha256(world.objects[verdict]),
    }
    score = score_of(world, TEAMS[0])
    world.objects[score] = edited(world.objects[score], runs=runs)
    found = named(audit(world))
    assert Check.HEAD in found[manifest]
    assert Check.RESULT in found[score]


def test_a_report_that_its_team_can_read_before_the_reveal_is_named() -> None:
    world = blind(play())
    key = keys.team_report(TEAMS[0], RED)
    world.objects[key] = world.objects[keys.report(RED)]
    assert named(audit(world)) == {key: {Check.EXTRA}}
