"""The board of a phase: who counts, the ranks computed again, and the files, against what the Leaderboard says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from alcove_api import keys
from alcove_api.board_documents import (
    AggregateRequest,
    BoardCurves,
    BoardHistory,
    BoardSubmission,
    CountedSubmission,
    CountedSubmissions,
)
from alcove_api.score_documents import ScoreResult
from alcove_audit.findings import MISSING, Check, describe
from alcove_audit.phase_state import PhaseState
from alcove_audit.reading import EvidenceReader
from alcove_operator.core import boards, scoring
from alcove_operator.core.model import SubmissionView
from alcove_scorer.board import Board, as_document, collect_results, make_board
from alcove_scorer.board_status import as_status
from alcove_scorer.peer_curves import collect_board_curves
from alcove_store.client import dump_json
from alcove_store.errors import StoreNotFoundError

_REQUEST = re.compile(r"request-(\d+)\.json$")
_CHANGED = (
    "The board's file was changed after it was made. Ask for a new board: delete the phase's Job `a-…`."
)
_RANKS = "The ranks that people read are not those that the scores give."
_WHO = (
    "The board was made of other Submissions or settings than count now. If one was scored in the last minutes, a new "
    "board is on its way: verify again."
)
MOST_TEAMS = 10_000
"""Of a board whose ranks are computed again: several times what a competition may have."""
FILES = ("table.json", "curves.json", "history.json", "leaderboard.html")


@dataclass
class BoardAudit:
    reader: EvidenceReader
    state: PhaseState
    counted: CountedSubmissions | None = None

    def read_counted(self) -> list[SubmissionView]:
        """Those that count though they are gone; checks ``counted.json`` against the Submissions that are there."""
        key = self._key("counted.json")
        # A board from before the operator kept it has no digests either.
        if not self._digests() and key not in self.reader.source.list_sizes(self._key("")):
            self.reader.report.leave_out(Check.COUNTED, "no counted.json yet")
            return []
        if self.state.rules.phase.from_ is not None:
            self.reader.report.leave_out(Check.COUNTED, "a final counts its own reruns, and they stay")
            return []
        meaning = "What counted once must stay counted. Restore the object's last version."
        found = self.reader.document(Check.COUNTED, CountedSubmissions, key, meaning)
        if found is None or found.document.competition_uid != self.state.view.uid:
            if found is not None:
                self.reader.report.differ(
                    Check.COUNTED, key, describe("competition_uid", self.state.view.uid),
                    describe("competition_uid", found.document.competition_uid), meaning,
                )  # fmt: skip
            return []
        self.counted = found.document
        views = {view.uid: view for view in self.state.submission_views}
        entries = {entry.team: entry for entry in found.document.entries}
        of_phase = [v for v in views.values() if boards.is_scored_in(v, self.state.phase_name)]
        scored = [view for view in of_phase if self._has_score(view) and not view.of_organizer]
        wanted = boards.update_counted(entries, scored, self.state.rules)
        for team in sorted(wanted):
            entry = entries.get(team)
            self.reader.report.compare(
                Check.COUNTED, key, f"entry of {team}", wanted[team].model_dump(mode="json"),
                entry.model_dump(mode="json") if entry else None, meaning,
            )  # fmt: skip
        teams = self.state.teams
        deleted = [
            entry
            for entry in found.document.entries
            if entry.submission_uid not in views
            and entry.team != self.state.view.namespace
            and (teams is None or entry.team in teams)
        ]
        for entry in deleted:
            self._check_aliases(key, entry, meaning)
        return [boards.view_deleted(entry, self.state.rules) for entry in deleted]

    def _has_score(self, view: SubmissionView) -> bool:
        """Where its scores are held back the status does not tell, and the operator looks into the store as well."""
        if not scoring.is_held_back(view.status):
            return True
        result = self._parse_score(view.uid, view.status.scoring_digest)
        return result is not None and any(run.alc is not None for run in result.runs)

    def _parse_score(self, submission_uid: str, scoring_digest: str) -> ScoreResult | None:
        """None where there is none that can be read: that is said where scores are checked."""
        data = self.reader.fetch(keys.score_result(submission_uid, scoring_digest))
        try:
            return None if data is None else ScoreResult.model_validate_json(data)
        except ValidationError:
            return None

    def _check_aliases(self, key: str, entry: CountedSubmission, meaning: str) -> None:
        """Which runs a deleted Submission had, nothing but its score tells."""
        scored = self._parse_score(entry.submission_uid, entry.scoring_digest)
        if scored is None:
            wanted_score = f"a Submission of {entry.team} that is there, or has a score"
            found = f"{describe('submission_uid', entry.submission_uid)}, which has none"
            self.reader.report.differ(Check.COUNTED, key, wanted_score, found, meaning)
        else:
            wanted = [run.alias for run in scored.runs]
            where = f"datasets of {entry.team}"
            self.reader.report.compare(Check.COUNTED, key, where, wanted, entry.datasets, meaning)

    def check(self, deleted: list[SubmissionView]) -> None:
        status, report = self.state.board_status, self.reader.report
        listed = set(self.reader.source.list_sizes(self._key("")))
        if not status.generation:
            report.leave_out(Check.BOARD, "the phase has no board yet")
            self._check_extra(listed, 0)
            return
        request = self._read_request(status.generation)
        if request is not None and len(request.entries) > MOST_TEAMS:
            report.leave_out(Check.BOARD, f"more than {MOST_TEAMS} teams")
        elif request is not None:
            self._check_entries(request, deleted)
            self._check_counted(request)
            self._check_ranks(request)
        self._check_files(listed)
        self._check_extra(listed, status.generation)

    def _key(self, name: str) -> str:
        return keys.board(*self.state.phase_path, name)

    def _digests(self) -> dict[str, str]:
        return {file.name: file.sha256 for file in self.state.board_status.files}

    def _read_request(self, generation: int) -> AggregateRequest | None:
        key = keys.board_request(*self.state.phase_path, generation)
        recorded = self._digests().get(f"request-{generation}.json")
        if recorded is None:
            self.reader.report.leave_out(Check.BOARD_FILES, "their digests were not recorded")
        meaning = "What the board was made of was changed. Ask for a new board: delete the phase's Job `a-…`."
        found = self.reader.document(Check.BOARD_FILES, AggregateRequest, key, meaning, recorded)
        return found.document if found else None

    def _check_entries(self, request: AggregateRequest, deleted: list[SubmissionView]) -> None:
        """That those are on the board who count, by the settings of the phase."""
        state, key = self.state, keys.board_request(*self.state.phase_path, request.generation)
        ranked = boards.select_ranked(state.rules, state.submission_views, deleted, state.datasets_by_name)
        wanted = boards.compute_digests(ranked, state.rules, state.datasets_by_name)
        names = [name for name in state.phase.datasets if name in state.datasets_by_name]
        aliases = tuple(state.datasets_by_name[name].alias for name in names)
        excluded = boards.list_excluded(state.rules, state.submission_views, deleted)
        targets = boards.list_targets(state.rules, state.datasets_by_name)
        expected = boards.build_board_request(
            state.rules, aliases, ranked, wanted, excluded=excluded, targets=targets
        )
        expected = expected.replace(generation=self.state.board_status.generation, top=request.top)
        for name in AggregateRequest.model_fields:
            one, other = (_dump(document)[name] for document in (expected, request))
            self.reader.report.compare(Check.COUNTED, key, name, one, other, _WHO)

    def _check_counted(self, request: AggregateRequest) -> None:
        """``counted.json`` against the board, which the Leaderboard holds the digest of: some may be deleted."""
        if self.counted is None or self.state.phase.deleted_submissions != "stand":
            return
        key, entries = self._key("counted.json"), {e.submission_uid: e for e in self.counted.entries}
        for entry in request.entries:
            found = entries.get(entry.submission_uid)
            same = (
                None
                if found is None
                else {name: getattr(found, name) for name in BoardSubmission.model_fields}
            )
            wanted = {name: getattr(entry, name) for name in BoardSubmission.model_fields}
            self.reader.report.compare(Check.COUNTED, key, f"entry of {entry.team}", wanted, same, _WHO)
        ranked = {entry.submission_uid for entry in request.entries}
        present = {view.uid for view in self.state.submission_views}
        unranked = len(entries.keys() - ranked - present)
        if unranked:
            self.reader.report.leave_out(Check.COUNTED, "deleted, and not on the board", unranked)

    def _check_ranks(self, request: AggregateRequest) -> None:
        status, report = self.state.board_status, self.reader.report
        results, problems = collect_results(request, self._read_result)
        board = make_board(request, results, tuple(problems))
        assert status.updated_at is not None
        again = _dump(as_status(board, status.updated_at))
        shown = _dump(status)
        name = f"Leaderboard {self.state.view.namespace}/{self.state.phase_name}"
        for field in ("teams", "leaders", "entries", "excluded", "table"):
            report.compare(Check.BOARD, name, f"status.{field}", again[field], shown[field], _RANKS)
        self._check_table(board)
        self._check_curves(board)
        self._check_places(board)

    def _read_result(self, key: str) -> bytes:
        data = self.reader.fetch(key)
        if data is None:
            raise StoreNotFoundError(f"There is no {key}.")
        return data

    def _check_table(self, board: Board) -> None:
        """Every entry of the whole table, unrounded where the board is."""
        key = self._key("table.json")
        data = self.reader.fetch(key)
        if data is None:
            return
        try:
            found = json.loads(data)
            at = datetime.fromisoformat(found["updated_at"])
        except (ValueError, KeyError, TypeError, RecursionError):
            self.reader.report.differ(Check.BOARD, key, "a board's table", "something else", _CHANGED)
            return
        again = json.loads(dump_json(as_document(board, at)))
        self.reader.report.compare(Check.BOARD, key, "table", again, found, _RANKS)

    def _check_curves(self, board: Board) -> None:
        key = self._key("curves.json")
        data = self.reader.fetch(key)
        if data is None:
            return
        try:
            found = BoardCurves.model_validate_json(data)
        except ValidationError:
            self.reader.report.differ(Check.BOARD, key, "the curves of a board", "something else", _CHANGED)
            return
        again = collect_board_curves(board, found.updated_at)
        meaning = "Reports draw other curves of the other teams than those teams have."
        self.reader.report.compare(Check.BOARD, key, "curves", _dump(again), _dump(found), meaning)

    def _check_places(self, board: Board) -> None:
        """The ranks in the Submissions' own status."""
        rows = {row.submission.submission_uid: row for row in board.rows}
        for view in self.state.submission_views:
            row, status = rows.get(view.uid), view.status
            wanted = (row.rank, row.mean_rank, True) if row else (None, None, False)
            shown = (status.rank, status.average_rank, status.counted)
            name = f"Submission {view.namespace}/{view.name}"
            self.reader.report.compare(
                Check.SHOWN, name, "status.rank, averageRank, counted", wanted, shown, _RANKS
            )

    def _check_files(self, listed: set[str]) -> None:
        digests = self._digests()
        for name in FILES:
            key = self._key(name)
            if name in digests:
                self.reader.digest(Check.BOARD_FILES, key, digests[name], None, _CHANGED)
            elif key not in listed:
                self.reader.report.differ(Check.BOARD_FILES, key, "the board's file", MISSING, _CHANGED)
            elif name == "history.json":
                self.reader.document(Check.BOARD_FILES, BoardHistory, key, _CHANGED)

    def _check_extra(self, listed: set[str], generation: int) -> None:
        known = {self._key(name) for name in (*FILES, "counted.json", "activity.json")}
        requests = {key: int(match[1]) for key in listed if (match := _REQUEST.search(key))}
        known |= {
            key
            for key, number in requests.items()
            if number and key == keys.board_request(*self.state.phase_path, number)
        }
        newer = sum(number > generation for number in requests.values())
        if newer:
            self.reader.report.leave_out(Check.BOARD_FILES, "requests of boards that are not made yet", newer)
        self.reader.nothing_else(listed, known)


def _dump(document: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = document.model_dump(mode="json", by_alias=False)
    return found
