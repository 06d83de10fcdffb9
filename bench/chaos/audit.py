"""What the API server's audit log tells of runs: when their Jobs were made, and what the operator wrote of them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.chaos.history import Told, moment

OPERATOR = ":alcove-operator"
"""How the name of its user ends."""
MESSAGE_CHARACTERS = 300


@dataclass
class Audit:
    jobs: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Unix times at which a run's Job was made, by its name."""
    told: dict[str, list[Told]] = field(default_factory=lambda: defaultdict(list))
    """By namespace and name of the Submission, each that differs from the one before."""
    unreadable: list[str] = field(default_factory=list)


def read_audit(path: Path, since: float) -> Audit:
    """What the operator did since that Unix time. Raises OSError."""
    found = Audit()
    with path.open() as file:
        for number, line in enumerate(file, 1):
            if not line.endswith("\n"):
                break  # still being written, or cut off by a kill of the API server
            try:
                _take(json.loads(line), since, found)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                found.unreadable.append(f"Line {number} of the audit log cannot be read: {error!r}.")
    return found


def _take(event: Mapping[str, Any], since: float, found: Audit) -> None:
    at, about = moment(event["requestReceivedTimestamp"]), event.get("objectRef") or {}
    code = (event.get("responseStatus") or {}).get("code", 0)
    if at < since or code >= 400 or not event["user"]["username"].endswith(OPERATOR):
        return
    name = about.get("name", "")
    match event["verb"], about.get("resource"), about.get("subresource", ""):
        case "create", "jobs", "" if name.startswith("r"):
            found.jobs[name].append(at)
        case "patch" | "update", "submissions", "status":
            known = found.told[f"{about['namespace']}/{name}"]
            for told in _read_told(at, event.get("requestObject") or {}):
                if not known or _without_time(known[-1]) != _without_time(told):
                    known.append(told)


def _read_told(at: float, body: Mapping[str, Any]) -> Iterator[Told]:
    for run in (body.get("status") or {}).get("runs") or ():
        if run.get("attempt"):
            cause, payer = run.get("cause") or "", run.get("chargedTo") or ""
            message = (run.get("message") or "")[:MESSAGE_CHARACTERS]
            yield Told(at, run["attempt"], run.get("podUid") or "", cause, payer, message)


def _without_time(told: Told) -> tuple[object, ...]:
    return (told.attempt, told.pod_uid, told.cause, told.payer, told.message)
