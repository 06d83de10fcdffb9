"""Whether a promise was held. Each function here makes a check, which says what was seen instead, or None."""

from __future__ import annotations

import re
from collections.abc import Callable

from alcove_cli.conformance.evidence import Evidence, Written

Check = Callable[[Evidence], str | None]
_SLACK = 0.005
"""Seconds, for rounding alone: program and recorder read one clock."""
_CHARGED = {"nobody": "nobody", "the participant": "Participant"}
"""What the status says for each payer of a case."""


def said(case: str, *expected: str) -> Check:
    """The program reported one of ``expected``."""

    def check(evidence: Evidence) -> str | None:
        found = evidence.said(case)
        if found is None:
            return f"the program did not get to try it (its run: {describe_end(evidence)})"
        return None if found in expected else f"the program was answered {found!r}"

    return check


def silent(case: str) -> Check:
    """The program never got to report it."""

    def check(evidence: Evidence) -> str | None:
        found = evidence.said(case)
        return None if found is None else f"the program reported {found!r}"

    return check


def counted(case: str) -> Check:
    """The program reported how often it did it, as in "held 120 instances", and that was not 0."""

    def check(evidence: Evidence) -> str | None:
        found = evidence.said(case) or ""
        done = re.search(r"\d+", found)
        if done is None or not int(done[0]):
            return f"the program did not get to it: {found or describe_end(evidence)!r}"
        return None

    return check


def measured(case: str, least: float, most: float) -> Check:
    """The first number that the program reported lies within these bounds."""

    def check(evidence: Evidence) -> str | None:
        found = evidence.said(case) or ""
        number = re.search(r"\d+(\.\d+)?", found)
        if number is None:
            return f"the program did not get to it: {found or describe_end(evidence)!r}"
        return None if least <= float(number[0]) <= most else f"the program reported {found!r}"

    return check


def refused(name: str, reason: str) -> Check:
    """The file of that name, as it is recorded, was refused for that reason, and none of that name was taken."""

    def check(evidence: Evidence) -> str | None:
        found = [record for record in evidence.records if record.name == name]
        if not found:
            return f"{name} is not among the {len(evidence.records)} files on record"
        taken = [record for record in found if record.refused is None or reason not in record.refused]
        return f"{name} was recorded with {taken[0].refused or 'no refusal'!r}" if taken else None

    return check


def taken(name: str) -> Check:
    def check(evidence: Evidence) -> str | None:
        return None if any(r.name == name for r in evidence.accepted) else f"{name} was not taken"

    return check


def not_on_record(*beginnings: str) -> Check:
    """No file whose name begins so is on record, and the run itself is."""

    def check(evidence: Evidence) -> str | None:
        if evidence.manifest is None:
            return f"nothing is on record (the run: {describe_end(evidence)})"
        found = [record.name for record in evidence.records if record.name.startswith(beginnings)]
        return f"{', '.join(found[:3])} is on record" if found else None

    return check


def stamped_honestly(name: str) -> Check:
    """No content was stamped before it was there."""

    def check(evidence: Evidence) -> str | None:
        written = evidence.written(name)
        records = [record for record in evidence.accepted if record.name == name]
        if not written or not records:
            end = describe_end(evidence)
            return f"{len(records)} files of the name {name} were taken, {len(written)} are in the output ({end})"
        for record in records:
            earliest = _earliest(written, record.sha256 or "")
            if record.t_ns / 1e9 < earliest - _SLACK:
                return f"{name} counts at {record.t_ns / 1e9:.3f} s, and was there at {earliest:.3f} s"
        return None

    return check


def _earliest(written: list[Written], sha256: str) -> float:
    """A mixture of two contents was there when the second began to be."""
    known = [one.at for one in written if one.sha256 == sha256]
    return min(known) if known else written[min(1, len(written) - 1)].at


def written_after(name: str, moment: float) -> Check:
    """The program's own work of so many seconds lies before it."""

    def check(evidence: Evidence) -> str | None:
        found = evidence.written(name)
        if not found or found[0].at < moment:
            return f"{name} was written at {found[0].at if found else None} s, before {moment} s"
        return None

    return check


def in_order(evidence: Evidence) -> str | None:
    """Stamps only grow, nothing first seen after the budget is on record, and nothing is stamped before it was seen."""
    if evidence.manifest is None:
        return f"nothing is on record (the run: {describe_end(evidence)})"
    last = 0
    for record in evidence.records:
        if record.seen_ns > evidence.manifest.budget_ns:
            return f"{record.name} was first seen at {record.seen_ns / 1e9:.3f} s, after the budget"
        if not last <= record.t_ns or record.t_ns < record.seen_ns:
            return f"{record.name} is stamped {record.t_ns / 1e9:.3f} s, out of order"
        last = record.t_ns
    return None


def ended(cause: str, pays: str, *, other_causes: tuple[str, ...] = ()) -> Check:
    """How the run ended and who pays, by the status; the supervisor and the recorder were there at its end."""

    def check(evidence: Evidence) -> str | None:
        run = evidence.run
        if run.get("cause") not in (cause, *other_causes) or run.get("chargedTo", "") != pays:
            return f"it ended with {describe_end(evidence)}"
        if int(run.get("attempt", 0)) != 1:
            return f"it was given attempt {run.get('attempt')}"
        return None

    return check


def charged_to(pays: str) -> Check:
    """Who pays for its run, by the status, and that it was not run again. ``pays``: as a case has it."""

    def check(evidence: Evidence) -> str | None:
        found = evidence.run.get("chargedTo") or "nobody"
        if found != _CHARGED[pays] or int(evidence.run.get("attempt", 1)) != 1:
            return f"{pays} was to pay for its run, and it is {describe_end(evidence)}"
        return None

    return check


def rejected(reason: str) -> Check:
    """It was not admitted, for this reason, and nothing of it ran."""

    def check(evidence: Evidence) -> str | None:
        conditions = {c["type"]: c for c in evidence.status.get("conditions", ())}
        admitted = conditions.get("Admitted", {})
        if evidence.status.get("phase") != "Rejected" or admitted.get("reason") != reason:
            return (
                f"it was {evidence.status.get('phase')}: {admitted.get('reason')} {admitted.get('message')}"
            )
        return f"{len(evidence.records)} files of it are on record" if evidence.run else None

    return check


def gone_within(seconds: float) -> Check:
    """The last of its processes was gone so soon after the budget, by the supervisor's word."""

    def check(evidence: Evidence) -> str | None:
        late = None if evidence.manifest is None else evidence.manifest.overshoot_ns / 1e9
        if late is None or late > seconds:
            return f"its last process was gone {late} s after the budget ({describe_end(evidence)})"
        return None

    return check


def keeps_predictions(count: int) -> Check:
    """At least so many predictions of before the attack count, and the run is scored."""

    def check(evidence: Evidence) -> str | None:
        if len(evidence.accepted) < count or evidence.run.get("alc") is None:
            manifest = (
                "no manifest" if evidence.manifest is None else f"sealed by {evidence.manifest.sealed_by}"
            )
            score = f"score {evidence.run.get('alc')}, pod {evidence.run.get('podUid') or 'unknown'}"
            return f"{len(evidence.accepted)} predictions are on record ({manifest}), {score}; {describe_end(evidence)}"
        return None

    return check


def all_gone(evidence: Evidence) -> str | None:
    """The supervisor saw the last process end, after the budget."""
    if evidence.manifest is None or evidence.manifest.end.cause != "budget":
        return f"the supervisor did not end it at the budget ({describe_end(evidence)})"
    return None


def sealed_by_recorder(evidence: Evidence) -> str | None:
    if evidence.manifest is None or evidence.manifest.sealed_by != "recorder":
        return f"the recorder did not seal the run ({describe_end(evidence)})"
    return None


def log_cut_at(size: int) -> Check:
    """The output reached that size, and was kept no further."""

    def check(evidence: Evidence) -> str | None:
        kept_bytes = len(evidence.log.encode())
        return None if size <= kept_bytes <= size + 4096 else f"{kept_bytes} bytes of output were kept"

    return check


def every(*checks: Check) -> Check:
    """The first complaint of several checks."""

    def check(evidence: Evidence) -> str | None:
        return next((found for one in checks if (found := one(evidence)) is not None), None)

    return check


def canary_is_hidden(evidence: Evidence) -> str | None:
    """The program did print what it read of hidden features, and its team can read it nowhere."""
    if not evidence.canary or evidence.canary not in evidence.log:
        return "the program did not print what it read, so nothing was tried"
    if not any("submissions" in where for where in evidence.readable):
        return "its team could not read its own Submission, so nothing is shown"
    found = [where for where, text in evidence.readable.items() if evidence.canary in text]
    return f"its team can read it in {', '.join(found[:3])}" if found else None


def exited_with(status: int) -> Check:
    """By the supervisor's word: the program did end with that status."""

    def check(evidence: Evidence) -> str | None:
        if evidence.manifest is None or evidence.manifest.end.code != status:
            return f"the program did not end with status {status} ({describe_end(evidence)})"
        return None

    return check


def is_unreadable(pattern: str) -> Check:
    """The run did happen, and nothing that its team can read of its Submission, Events among it, matches."""

    def check(evidence: Evidence) -> str | None:
        its = re.compile(
            rf"/submissions/{re.escape(evidence.name)}$|/events/{re.escape(evidence.name)}\.[^/]*$"
        )
        own = {where: text for where, text in evidence.readable.items() if its.search(where)}
        if not own or not evidence.accepted:
            return f"{len(evidence.accepted)} predictions are on record, {len(own)} objects were read"
        found = [where for where, text in own.items() if re.search(pattern, text)]
        return f"its team can read it in {', '.join(found)}" if found else None

    return check


def describe_overshoot(evidence: Evidence) -> str:
    if evidence.manifest is None:
        return ""
    return f"the last process was gone {evidence.manifest.overshoot_ns / 1e6:.0f} ms after the budget"


def describe_end(evidence: Evidence) -> str:
    run = evidence.run
    if not run:
        return f"{evidence.status.get('phase') or 'no status'} {evidence.status.get('message', '')}".strip()
    payer = run.get("chargedTo") or "nobody"
    return f"{run.get('phase')} {run.get('cause')}, attempt {run.get('attempt')}, charged to {payer}"
