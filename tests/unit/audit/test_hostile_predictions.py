"""A hole in what parses predictions finds nothing of the auditor's, and what ends the parser is scored as in a job."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from alcove_audit.audit import PhaseAudit
from alcove_audit.findings import AuditReport, Check
from alcove_scorer import predictions
from alcove_scorer.metrics import Prediction
from alcove_scorer.parser_process import ParserEndedError, ParserProcess
from alcove_scorer.predictions import PredictionReader, read_prediction
from alcove_scorer.scoring import RunScorer
from tests.unit.audit.world import play

HOLE = """
import os, socket
from alcove_scorer import {module}
def take(*_):
    loot = []
    for look in (
        lambda: os.environ["AUDITOR_SECRET"],
        lambda: open({file!r}).read(),
        lambda: socket.socket() and "network",
        lambda: os.kill(os.getppid(), 0) or "process",
    ):
        try:
            loot.append(look())
        except (KeyError, OSError):
            pass
    raise {module}.PredictionError("taken: " + (",".join(loot) or "nothing"))
"""
PLANT = """
from alcove_scorer import parser
confine = parser.confine
def plant():
    confine()
    parser.parse_header = parser.text_blocks = take
parser.confine = plant
parser.main()
"""
"""After the parser's own trial of both."""


@dataclass
class InThisProcess:
    """Parses as the audit did before: beside the auditor's credentials."""

    read: PredictionReader = read_prediction

    def close(self) -> None:
        pass


def audit(monkeypatch: pytest.MonkeyPatch, parser: Any) -> tuple[AuditReport, list[str]]:
    """And why predictions scored nothing."""
    reasons, refuse = [], RunScorer.refuse

    def note(scorer: RunScorer, number: int, name: str, reason: str) -> None:
        reasons.append(reason)
        refuse(scorer, number, name, reason)

    monkeypatch.setattr(RunScorer, "refuse", note)
    monkeypatch.setattr("alcove_audit.audit.ParserProcess", parser)
    world, report = play(), AuditReport()
    PhaseAudit(world.source, world.state, report).check_phase()
    return report, reasons


def command(program: str) -> Sequence[str]:
    return (sys.executable, "-I", "-c", program + PLANT)


@pytest.mark.parametrize("confined", [True, False], ids=["as it is", "switched off"])
def test_a_hole_in_a_parser_finds_nothing_of_the_auditor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, confined: bool
) -> None:
    credentials = tmp_path / "credentials.json"
    credentials.write_text("s3cr3t")
    monkeypatch.setenv("AUDITOR_SECRET", "t0k3n")
    hole = partial(HOLE.format, file=str(credentials))
    if confined:
        _, reasons = audit(monkeypatch, partial(ParserProcess, command(hole(module="parser"))))
    else:
        planted: dict[str, Any] = {}
        exec(hole(module="predictions"), planted)
        for name in ("parse_header", "text_blocks"):
            monkeypatch.setattr(predictions, name, planted["take"])
        _, reasons = audit(monkeypatch, InThisProcess)
    taken = "nothing" if confined else "t0k3n,s3cr3t,network,process"
    assert {reason for reason in reasons if "taken" in reason} == {f"taken: {taken}"}


def test_what_ends_the_parser_twice_scores_nothing_and_is_digested_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def end(pieces: Iterable[bytes], size: int, *_: object) -> Iterator[Prediction]:
        asked.append(size)
        next(iter(pieces))
        raise ParserEndedError("it ended")
        yield

    usual, _ = audit(monkeypatch, InThisProcess)
    report, reasons = audit(monkeypatch, partial(InThisProcess, end))
    ended = reasons.count("it ended")
    assert ended > 0
    assert len(asked) == 2 * ended
    assert {finding.check for finding in report.findings} <= {Check.SCORE, Check.BOARD, Check.LADDER}
    assert report.checked[Check.PREDICTION] == usual.checked[Check.PREDICTION] > 0
