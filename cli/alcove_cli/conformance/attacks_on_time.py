"""Attacks on the clock and on what it stamps."""

from __future__ import annotations

from alcove_cli.conformance.catalogue import Attack, Case
from alcove_cli.conformance.checks import (
    all_gone,
    describe_overshoot,
    ended,
    every,
    gone_within,
    in_order,
    not_on_record,
    said,
    sealed_by_recorder,
    stamped_honestly,
    taken,
    written_after,
)

LATEST_END = 2.0
"""Seconds after the budget, beside all other attacks: docs/security.md promises it."""
_CLOSED = "done b''"
"""The recorder closed the connection and said nothing."""


def _stamp(name: str, file: str, attack: str) -> Case:
    return Case(f"time/{name}", "stamp", attack, "harmless", stamped_honestly(file))


def _handshake(name: str, attack: str) -> Case:
    case = f"time/handshake-{name}"
    return Case(case, "handshake", attack, "refused", every(said(case, _CLOSED), sealed_by_recorder))


STAMPS = Attack(
    "stamps",
    (
        _stamp("past-mtime", "past.npy", "a prediction whose file times say 1970"),
        _stamp("future-mtime", "future.npy", "a prediction whose file times say 2096"),
        _stamp("written-in-place", "slow.npy", "a prediction written in place, with a pause in its middle"),
        _stamp("mapping", "mapped.npy", "a prediction improved through a mapping after its rename"),
        _stamp("open-descriptor", "open.npy", "a prediction improved through a descriptor that stayed open"),
        _stamp("replaced", "replaced.npy", "a prediction replaced by a better one of the same name"),
        _stamp("hard-link", "linked.npy", "a prediction improved through a second name of its file"),
        Case(
            "time/hidden-names",
            "stamp",
            "predictions under a hidden name and under another ending",
            "harmless",
            every(not_on_record(".", "notes"), taken("last.npy")),
        ),
        Case("time/clock", "stamp", "setting the system's clock", "refused", said("time/clock", "EPERM")),
        Case(
            "time/replace-folder",
            "stamp",
            "putting another folder in the place of the output folder",
            "refused",
            every(said("time/replace-folder", "EBUSY", "EACCES", "EXDEV", "EROFS"), taken("last.npy")),
        ),
        Case(
            "time/order",
            "stamp",
            "all of this in one run: its record stays in order",
            "harmless",
            every(in_order, sealed_by_recorder, ended("Finished", "")),
        ),
    ),
)
HANDSHAKE = Attack(
    "handshake",
    (
        _handshake("hello", "a second hello after the go"),
        _handshake("go", "a go without a hello"),
        _handshake("resume", "a resume with a guessed token"),
        _handshake("end", "an end before the end"),
        _handshake("oversized", "a line of 100,000 bytes"),
        _handshake("binary", "bytes of every value"),
        Case(
            "time/handshake-crowd",
            "handshake",
            "120 connections that stay open",
            "harmless",
            every(
                said("time/handshake-crowd", _CLOSED, "EAGAIN"),
                taken("after.npy"),
                in_order,
                ended("Finished", ""),
            ),
        ),
    ),
)
SHADOW = Attack(
    "shadow",
    (
        Case(
            "time/shadowed-modules",
            "handshake",
            "modules with the names of NumPy and of the runner in the code folder",
            "harmless",
            said("time/shadowed", "the installed one"),
        ),
        Case(
            "time/started-early",
            "handshake",
            "sitecustomize, usercustomize and a .pth file in the code folder, to run before the go",
            "harmless",
            every(said("time/started-early", "not run"), not_on_record("planted")),
        ),
        Case(
            "time/import-is-charged",
            "stamp",
            "work while model.py is imported",
            "harmless",
            every(stamped_honestly("after-import.npy"), written_after("after-import.npy", 1.5)),
        ),
    ),
    planted=("numpy.py", "alcove_ingestion.py", "sitecustomize.py", "usercustomize.py", "planted.pth"),
)


LINGER = Attack(
    "linger",
    (
        Case(
            "time/never-stops",
            "budget",
            "a program that ignores every signal and goes on after its budget",
            "ended at the budget",
            every(ended("DeadlineReached", "Participant"), sealed_by_recorder, gone_within(LATEST_END)),
            "the participant",
            describe_overshoot,
        ),
        Case(
            "time/daemons",
            "budget",
            "daemons in sessions of their own that go on writing predictions",
            "ended at the budget",
            every(taken("late-daemon-0001.npy"), in_order, all_gone),
            "the participant",
        ),
    ),
)
DECOYS = Attack(
    "decoys",
    (
        Case(
            "time/decoys",
            "stamp",
            "predictions of one name behind a heap of large decoys, up to the budget",
            "ended at the budget",
            every(stamped_honestly("behind.npy"), in_order, ended("DeadlineReached", "Participant")),
            "the participant",
        ),
    ),
)
ATTACKS = (STAMPS, HANDSHAKE, SHADOW, LINGER, DECOYS)
