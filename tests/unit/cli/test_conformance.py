"""The judge of the attacks: what it takes for held, and what it says. The attacks themselves need a cluster."""

from __future__ import annotations

import runpy
import socket
from collections import Counter
from dataclasses import replace
from importlib import resources
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from alcove_api.competition import CompetitionSpec
from alcove_api.run_documents import End, Manifest, Record
from alcove_cli.conformance import checks
from alcove_cli.conformance.catalogue import Attack, Case
from alcove_cli.conformance.evidence import Evidence
from alcove_cli.conformance.intrusions import INTRUSIONS
from alcove_cli.conformance.neighbour import beside_attacks
from alcove_cli.conformance.place import release_values
from alcove_cli.conformance.promises import PROMISES
from alcove_cli.conformance.report import as_document, describe_promises, judge_promises
from alcove_cli.conformance.suite import CaseResult, judge_case, list_attacks

EARLY, LATE = "a" * 64, "b" * 64
ATTACKS = (*list_attacks(), beside_attacks(np.zeros((1, 1), np.bool_)))
CASES: list[Case] = [case for attack in ATTACKS for case in attack.cases]


def record(
    name: str, t: float, sha256: str | None = EARLY, seen: float | None = None, refused: str = ""
) -> Record:
    seen_ns = int((t if seen is None else seen) * 1e9)
    return Record(
        seq=0,
        name=name,
        kind="npy",
        seen_ns=seen_ns,
        t_ns=int(t * 1e9),
        sha256=None if refused else sha256,
        bytes=1,
        refused=refused or None,
        previous=None,
    )


def evidence(*records: Record, log: str = "", end: str = "finished", **run: object) -> Evidence:
    manifest = Manifest(
        submission_uid="u",
        alias="d",
        attempt=1,
        pod_uid="p",
        budget_ns=8_000_000_000,
        go_at=None,
        boot_id="b",
        end=End.model_validate({"cause": end, "ended_ns": 1}),
        overshoot_ns=0,
        records=records,
        head=None,
    )
    return Evidence("one", {"runs": [{"dataset": "d", "attempt": 1, **run}]}, manifest, log)


WROTE = f"WROTE one.npy {EARLY} 1.000000\nWROTE one.npy {LATE} 2.000000\n"


@pytest.mark.parametrize(
    ("found", "held"),
    [
        (record("one.npy", 1.01), True),
        (record("one.npy", 2.01, LATE), True),
        (record("one.npy", 1.5, LATE), False),
        # Neither of the two contents: some of the second is in it.
        (record("one.npy", 1.5, "c" * 64), False),
        (record("other.npy", 1.5), False),
    ],
)
def test_a_content_counts_from_when_it_was_there(found: Record, held: bool) -> None:
    complaint = checks.stamped_honestly("one.npy")(evidence(found, log=WROTE))
    assert (complaint is None) is held, complaint


@pytest.mark.parametrize(
    ("records", "held"),
    [
        ((record("a", 1), record("b", 2)), True),
        ((record("a", 2), record("b", 1)), False),
        ((record("a", 1, seen=2),), False),
        ((record("a", 9, seen=7.9),), True),
        ((record("a", 9, seen=8.1),), False),
    ],
)
def test_stamps_only_grow_and_nothing_is_seen_after_the_budget(
    records: tuple[Record, ...], held: bool
) -> None:
    assert (checks.in_order(evidence(*records)) is None) is held


@pytest.mark.parametrize("cause", ["ExitCode", "RecorderLost"])
@pytest.mark.parametrize("payer", ["Participant", "Platform"])
@pytest.mark.parametrize("attempt", [1, 2])
def test_who_pays_is_the_status_word(cause: str, payer: str, attempt: int) -> None:
    found = evidence(cause=cause, chargedTo=payer, attempt=attempt)
    held = (cause, payer, attempt) == ("ExitCode", "Participant", 1)
    assert (checks.ended("ExitCode", "Participant")(found) is None) is held


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.submission)
def test_each_case_asks_who_pays_for_its_run(attack: Attack) -> None:
    """Also one whose own check does not: here it holds whatever is seen."""
    paid: dict[str, Any] = {"chargedTo": "Participant"} if attack.pays == "the participant" else {}
    for case in attack.cases:
        held = replace(case, check=lambda _: None)
        assert judge_case(attack, held, evidence(**paid)) is None
        assert judge_case(attack, held, evidence(chargedTo="Platform")) is not None
        assert judge_case(attack, held, evidence(**{**paid, "attempt": 2})) is not None


def test_a_program_that_did_not_get_to_it_shows_nothing() -> None:
    check = checks.said("data/dns", "EACCES")
    assert check(evidence(log="ATTACK data/dns EACCES\n")) is None
    assert check(evidence(log="ATTACK data/dns done None\n")) == "the program was answered 'done None'"
    assert "did not get to try" in (check(evidence()) or "")


@pytest.mark.parametrize(("reported", "held"), [("held 3 instances", True), ("held 0 instances", False)])
def test_a_flood_of_nothing_shows_nothing(reported: str, held: bool) -> None:
    check = checks.counted("resources/inotify")
    assert (check(evidence(log=f"ATTACK resources/inotify {reported}\n")) is None) is held
    assert "did not get to it" in (check(evidence()) or "")


def test_an_exit_status_is_hidden_where_the_program_had_it_and_neither_status_nor_event_tells() -> None:
    (case,) = (case for case in CASES if case.id == "data/exit-code")
    end = End(cause="failed", code=77, ended_ns=1)
    own, event = "/namespaces/red/submissions/one", "/namespaces/red/events/one.0a1b"

    def complaint(end: End, **readable: str) -> str | None:
        found = evidence(record("one.npy", 1))
        assert found.manifest is not None
        manifest = found.manifest.replace(end=end)
        texts = {own: readable.get("own", ""), event: readable.get("event", "")}
        return case.check(replace(found, manifest=manifest, readable=texts))

    assert complaint(end) is None
    assert "did not end with status 77" in (complaint(End(cause="finished", ended_ns=1)) or "")
    assert own in (complaint(end, own="The program ended with status 77.") or "")
    assert event in (complaint(end, event="The program ended with status 77.") or "")


def handshake_answers(answer: bytes | None, folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What the program reports of a listener that answers so; of none at all for None."""
    path = folder / "go.sock"
    listener = socket.socket(socket.AF_UNIX)
    if answer is not None:
        listener.bind(str(path))
        listener.listen(1)

        def serve() -> None:
            connected, _ = listener.accept()
            with connected:
                connected.recv(100)  # closed with something unread, it would take back the answer
                connected.sendall(answer)

        thread = Thread(target=serve)
        thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALCOVE_OUT", str(folder))
        patch.setenv("ALCOVE_BUDGET", "8")
        programs = resources.files("alcove_cli.conformance") / "programs"
        patch.syspath_prepend(str(programs))
        space = runpy.run_path(str(programs / "handshake.py"))
        space["Model"].ask.__globals__["SOCKET"] = str(path)
        space["attempt"]("time/handshake-hello", space["Model"].ask, None, b"hello\n")
    if answer is not None:
        thread.join(10)
    listener.close()
    return capsys.readouterr().out.splitlines()


def test_a_handshake_without_a_recorder_shows_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (case,) = (case for case in CASES if case.id == "time/handshake-hello")

    def held(answer: bytes | None) -> bool:
        (line,) = handshake_answers(answer, tmp_path, capsys)
        return case.check(evidence(log=f"{line}\n")) is None

    assert not held(None), "nobody was asked"
    assert held(b"")
    (tmp_path / "go.sock").unlink()
    assert not held(b"go 8\n")


def test_a_refusal_is_for_its_reason() -> None:
    check = checks.refused("one.npy", "symbolic link")
    assert check(evidence(record("one.npy", 1, refused="It is a symbolic link."))) is None
    assert check(evidence(record("one.npy", 1, refused="It is too large."))) is not None
    assert check(evidence(record("one.npy", 1))) is not None
    assert check(evidence()) is not None


@pytest.mark.parametrize(
    ("readable", "log", "held"),
    [
        ({"/submissions/one": "a status"}, "canary1", True),
        ({"/submissions/one": "Last output: canary1"}, "canary1", False),
        ({"/submissions/one": "a status", "metrics": "canary1"}, "canary1", False),
        ({"/submissions/one": "a status"}, "nothing", False),
        ({"/leaderboards": "a table"}, "canary1", False),
    ],
)
def test_a_canary_may_be_read_nowhere_and_must_have_been_there(
    readable: dict[str, str], log: str, held: bool
) -> None:
    found = Evidence("one", {}, None, log, None, readable, "canary1")
    assert (checks.canary_is_hidden(found) is None) is held


def test_every_attack_has_a_name_and_a_program_and_every_promise_an_attack() -> None:
    ids = [case.id for case in CASES] + [one.id for one in INTRUSIONS]
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    tried = {case.promise for case in CASES} | {one.promise for one in INTRUSIONS}
    assert {promise.id for promise in PROMISES if not promise.untested} == tried
    with_code = [attack for attack in ATTACKS if not attack.own_image]
    for attack in with_code:
        for name, source in attack.files({}).items():
            compile(source, name, "exec")
    folder = resources.files("alcove_cli.conformance") / "programs"
    there = {path.name.removesuffix(".py") for path in folder.iterdir() if path.name.endswith(".py")}
    assert there == {attack.program for attack in with_code} | {"kit", "planted"}


@pytest.mark.parametrize(("said", "held"), [("0.34 of", True), ("0.9 of", False), ("none", False)])
def test_what_was_measured_lies_within_bounds(said: str, held: bool) -> None:
    found = evidence(log=f"ATTACK resources/hog {said}\n")
    assert (checks.measured("resources/hog", 0.1, 0.5)(found) is None) is held


def test_a_bundle_was_refused_for_its_reason_and_nothing_of_it_ran() -> None:
    admitted = [{"type": "Admitted", "reason": "BundleTooLarge", "message": ""}]
    status = {"phase": "Rejected", "conditions": admitted, "runs": []}
    assert checks.rejected("BundleTooLarge")(Evidence("one", status)) is None
    faults: list[dict[str, object]] = [
        {"phase": "Done"},
        {"conditions": []},
        {"runs": [{"dataset": "d", "attempt": 1}]},
    ]
    for fault in faults:
        assert checks.rejected("BundleTooLarge")(Evidence("one", {**status, **fault})) is not None


@pytest.mark.parametrize(("late_ns", "held"), [(0, True), (10**9, True), (3 * 10**9, False)])
def test_an_end_far_after_the_budget_is_none(late_ns: int, held: bool) -> None:
    found = evidence()
    assert found.manifest is not None
    late = replace(found, manifest=found.manifest.replace(overshoot_ns=late_ns))
    assert (checks.gone_within(2)(late) is None) is held


def test_the_release_to_attack_is_sound() -> None:
    CompetitionSpec.model_validate(release_values()["competition"]["spec"])


def test_a_promise_that_is_broken_says_what_that_means() -> None:
    case = next(case for case in CASES if case.promise == "budget")
    results = [CaseResult(one, None) for one in CASES if one is not case] + [CaseResult(case, "it went on")]
    judged = judge_promises(results)
    lines = describe_promises(judged)
    broken = next(i for i, line in enumerate(lines) if line.startswith("NOT HELD"))
    assert "At the budget" in lines[broken]
    assert "learn for longer" in lines[broken + 1]
    assert f"{case.id}, {case.attack}: it went on" in lines[broken + 2]
    document = as_document(judged)
    assert document["held"] is False
    assert [p["id"] for p in document["promises"] if p["state"] == "not held"] == ["budget"]


def test_what_cannot_be_tested_here_says_why_and_breaks_nothing() -> None:
    untested = next(one for one in INTRUSIONS if one.needs)
    judged = judge_promises([CaseResult(untested, None, untested="there is no such kind")])
    lines = describe_promises(judged)
    assert any(line.startswith("NOT TESTABLE HERE") and "there is no such kind" in line for line in lines)
    assert any("helm test" in line for line in lines)
    assert as_document(judged)["held"] is True
