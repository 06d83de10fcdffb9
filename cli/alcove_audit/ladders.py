"""The Ladder of a phase: each raise of a team's best score, computed again from the run that made it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from alcove_api import keys
from alcove_api.score_documents import LadderBest, ScoreRequest
from alcove_audit.findings import Check, describe
from alcove_audit.phase_state import PhaseState
from alcove_audit.reading import EvidenceReader
from alcove_scorer.ladder import LadderState, LadderStep, raise_best
from alcove_scorer.ladder_store import ladder_step
from alcove_scorer.scoring import RunScorer

_MEANING = "What the Ladder shows is not what the team's runs reach. Score the team's Submissions again."


@dataclass(frozen=True)
class LadderRun:
    key: str
    """Of the score file."""
    shown: float
    """The Ladder's value after this run, as the score has it."""
    score: float | None
    """On the rows that are shown; None where it cannot be computed."""
    group_scores: tuple[float, ...]
    rows: int
    rule: LadderStep


def ladder_run(
    key: str, shown: float, asked: ScoreRequest, scorer: RunScorer | None, alias: str
) -> tuple[tuple[str, str, str], LadderRun]:
    """With what names its ladder: scoring digest, team, alias."""
    ladder_id = (key.rpartition("/")[2].removesuffix(".json"), asked.namespace, alias)
    if scorer is None:
        return ladder_id, LadderRun(key, shown, None, (), 0, LadderStep(None, 1))
    rows = len(scorer.solution if scorer.rows.shown is None else scorer.rows.shown)
    score, groups = scorer.ladder_scores()
    return ladder_id, LadderRun(key, shown, score, groups, rows, ladder_step(asked, rows))


@dataclass
class LadderAudit:
    reader: EvidenceReader
    state: PhaseState
    runs: dict[tuple[str, str, str], dict[str, LadderRun]] = field(default_factory=dict)
    """By what names the ladder, then by the Submission's UID: those that were scored."""

    def add(self, submission_uid: str, ladder_id: tuple[str, str, str], run: LadderRun) -> None:
        self.runs.setdefault(ladder_id, {})[submission_uid] = run

    def check(self, team: str | None = None) -> None:
        """``team``: the one whose ladders are looked at; None for all."""
        listed = set(self.reader.source.list_sizes(f"ladders/{self._of_phase}/"))
        accounted: set[str] = set()
        for ladder_id in sorted(self.runs.keys() | set(self._list_ids(listed))):
            if team in (None, ladder_id[1]):
                accounted |= self._check_chain(ladder_id, listed)
        if team is None:
            self.reader.nothing_else(listed, accounted)

    @property
    def _of_phase(self) -> str:
        namespace, competition, phase = self.state.phase_path
        return f"{namespace}.{competition}/{phase}"

    def _list_ids(self, listed: set[str]) -> Iterator[tuple[str, str, str]]:
        for key in listed:
            parts = key.removeprefix(f"ladders/{self._of_phase}/").split("/")
            if len(parts) == 4:
                yield parts[0], parts[1], parts[2]

    def _check_chain(self, ladder_id: tuple[str, str, str], listed: set[str]) -> set[str]:
        """Returns the keys that belong to it."""
        prefix, runs = keys.ladder(*self.state.phase_path, *ladder_id), self.runs.get(ladder_id, {})
        best: LadderState | None = None
        shown: dict[str, set[float]] = {}
        accounted: set[str] = set()
        for number in range(len(listed)):
            key = keys.ladder_best(prefix, number)
            if key not in listed:
                break
            accounted.add(key)
            found = self.reader.document(Check.LADDER, LadderBest, key, _MEANING)
            if found is None:
                continue
            document = found.document
            self.reader.report.compare(Check.LADDER, key, "number", number, document.number, _MEANING)
            self._check_raise(key, document, best, ladder_id)
            best = LadderState(document.shown, document.group_scores)
            shown.setdefault(document.submission_uid, set()).add(document.shown)
        every = set().union(*shown.values())
        for uid, run in sorted(runs.items()):
            possible = shown.get(uid) or every
            if run.shown in possible:
                self.reader.report.hold(Check.LADDER)
            else:
                wanted = " or ".join(str(value) for value in sorted(possible)) or None
                found_here = describe("ladder", run.shown)
                self.reader.report.differ(
                    Check.LADDER, run.key, f"{describe('ladder', wanted)} (by {prefix})", found_here, _MEANING
                )
        return accounted

    def _check_raise(
        self, key: str, document: LadderBest, best: LadderState | None, ladder_id: tuple[str, str, str]
    ) -> None:
        uid, report = document.submission_uid, self.reader.report
        run = self.runs.get(ladder_id, {}).get(uid)
        if run is None and not self._may_have_raised(uid, ladder_id[1]):
            report.differ(Check.LADDER, key, "submission_uid of one that was scored", uid, _MEANING)
            return
        if run is None or run.score is None:
            report.leave_out(Check.LADDER, "the run that raised it cannot be scored here")
            return
        again = raise_best(best, run.score, run.group_scores, run.rule, run.rows)
        wanted = None if again is None else (again.shown, again.group_scores)
        found = (document.shown, document.group_scores)
        report.compare(Check.LADDER, key, "shown, group_scores", wanted, found, _MEANING)

    def _may_have_raised(self, uid: str, team: str) -> bool:
        """Of a run that is not known here: whether it was scored, and may be of this team."""
        teams = {view.uid: view.namespace for view in self.state.submission_views}
        return teams.get(uid, team) == team and bool(self.reader.source.list_sizes(f"scores/{uid}/"))
