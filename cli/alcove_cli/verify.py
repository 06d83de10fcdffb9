"""``alcove verify`` and ``alcove export``: whether scores and ranks are those that were recorded."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alcove_audit.archive import PhaseExport, open_archive
from alcove_audit.audit import PhaseAudit
from alcove_audit.findings import AuditReport, Check
from alcove_audit.runs import NO_SOLUTION
from alcove_cli.errors import CommandError
from alcove_cli.evidence import ReadingProgress, finish_or_say, open_source, read_state
from alcove_cli.options import parse_competition
from alcove_cli.rescore import NAME
from alcove_kube.client import KubeClient
from alcove_kube.resources import SUBMISSIONS

ARCHIVE_SUFFIXES = (".tar.gz", ".tgz")
SHOWN = 40
"""Findings that the text shows; ``--json`` has all."""


def verify_archive(path: Path, limit: int) -> AuditReport:
    """Unpacks an archive of ``limit`` bytes at most to a temporary folder, and audits it there.

    Raises:
        AuditError: it is not an archive of a phase.
        CommandError: it cannot be read, or not unpacked here.
    """
    report = AuditReport(progress=ReadingProgress("verifying").add)
    try:
        with tempfile.TemporaryDirectory(prefix="alcove-verify-") as folder:
            source, state = open_archive(path, Path(folder), limit, report)
            PhaseAudit(source, state, report).check_phase()
    except OSError as error:
        raise CommandError(
            f"{error.filename or path}: {error.strerror}. The archive is unpacked below {tempfile.gettempdir()}: "
            "set TMPDIR to a folder with room for it."
        ) from error
    return report


def verify_cluster(
    kube: KubeClient, target: str, competition: str, store: str | None, *, inputs: bool
) -> AuditReport:
    """``target``: TEAM/SUBMISSION, or a phase of ``competition``.

    Raises:
        CommandError: it is not there, or (of exit status 3) cluster or store do not answer.
        AuditError: what the cluster says of it cannot be read.
    """
    report = AuditReport(progress=ReadingProgress("verifying").add)
    with finish_or_say():
        team, _, name = target.rpartition("/")
        if not all(NAME.fullmatch(part) for part in target.split("/")) or "/" in team:
            raise CommandError(
                f"{target!r} is none of TEAM/SUBMISSION, the name of a phase, and a file that ends with .tar.gz."
            )
        ref, phase = parse_competition(competition), target
        if team:
            ref, phase = _find_phase(kube, team, name)
        state = read_state(kube, ref, phase)
        audit = PhaseAudit(open_source(kube, ref[0], store, inputs=inputs), state, report)
        if team:
            audit.check_submission(team, name)
        else:
            audit.check_phase()
    return report


def _find_phase(kube: KubeClient, team: str, name: str) -> tuple[tuple[str, str], str]:
    found = kube.find(SUBMISSIONS, team, name)
    if found is None:
        raise CommandError(f"There is no Submission {team}/{name}. Give TEAM/NAME, or the name of a phase.")
    spec = found["spec"]
    return (spec["competition"]["namespace"], spec["competition"]["name"]), spec["phase"]


def export_phase(
    kube: KubeClient,
    phase: str,
    competition: str,
    store: str | None,
    out: Path,
    *,
    solutions: bool,
    inputs: bool,
) -> tuple[int, int]:
    """Writes the archive as a whole or not at all, readable by its owner alone. How many objects, and bytes.

    Raises:
        CommandError: the file is there already or cannot be written, the phase is not there, or (of exit status 3)
            cluster or store do not answer.
    """
    if out.exists():
        raise CommandError(f"{out} is there already, and evidence is not overwritten. Choose another --out.")
    report = AuditReport(progress=ReadingProgress("exporting").add)
    with finish_or_say():
        ref = parse_competition(competition)
        state = read_state(kube, ref, phase)
        source = open_source(kube, ref[0], store, inputs=inputs, solutions=solutions)
        part = out.with_name(f".{out.name}.{os.getpid()}.part")
        try:
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as output:
                count = PhaseExport(source, state, report).write(output)
            part.rename(out)
        except OSError as error:
            raise CommandError(f"{out} cannot be written: {error.strerror}. Choose another --out.") from error
        finally:
            part.unlink(missing_ok=True)
    return count, out.stat().st_size


def as_text(report: AuditReport) -> str:
    """A line for each check, then what differs, then what could not be checked."""
    width = max(len(check.value) for check in Check)
    lines = [f"{'CHECK':<{width}}  {'CHECKED':>8}  {'DIFFER':>6}  {'NOT CHECKED':>11}"]
    skipped = _count_skipped(report)
    for check in Check:
        checked, left = report.checked[check], skipped.get(check, 0)
        if checked or left:
            wrong = report.count_wrong(check)
            lines.append(f"{check.value:<{width}}  {checked:>8}  {wrong:>6}  {left or '-':>11}")
    for (check, reason), count in sorted(report.left_out.items(), key=lambda item: item[0][0].value):
        lines.append(f"Not checked, {check.value.partition(':')[0]}: {reason} ({count}).")
    for finding in report.findings[:SHOWN]:
        lines += [
            "",
            _printable(finding.key),
            f"  expected: {_printable(finding.expected)}",
            f"  found:    {_printable(finding.found)}",
            f"  {finding.meaning}",
        ]
    if len(report.findings) > SHOWN:
        lines += ["", f"… and {len(report.findings) - SHOWN} more: --json has all."]
    lines += ["", _conclude(report)]
    return "\n".join(lines)


def _printable(text: str) -> str:
    """What others wrote, on one line, without what a terminal would obey."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:500])


def _conclude(report: AuditReport) -> str:
    if report.findings:
        keys = {finding.key for finding in report.findings}
        return f"{len(report.findings)} things differ, in {len(keys)} places."
    missing = report.left_out[Check.SCORE, NO_SOLUTION]
    if missing:
        said = f"{missing} scores were not computed again: no solution is here."
        return f"All that was checked is as it was recorded. {said}"
    return "All that was checked is as it was recorded."


def _count_skipped(report: AuditReport) -> Mapping[Check, int]:
    counts: dict[Check, int] = {}
    for (check, _), count in report.left_out.items():
        counts[check] = counts.get(check, 0) + count
    return counts


def as_document(report: AuditReport) -> dict[str, Any]:
    """For ``--json``."""
    return {
        "ok": not report.findings,
        "checks": [
            {"check": c.name.lower(), "checked": report.checked[c], "differ": report.count_wrong(c)}
            for c in Check
        ],
        "not_checked": [
            {"check": check.name.lower(), "reason": reason, "count": count}
            for (check, reason), count in report.left_out.items()
        ],
        "findings": [{**asdict(f), "check": f.check.name.lower()} for f in report.findings],
    }
