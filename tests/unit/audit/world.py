"""A phase that was played and ranked, as the store and the cluster hold it, made by the same code that makes them.

Two teams, one with an earlier Submission, two datasets, a run with a refusal and a late prediction, an attempt that was
repeated, a team whose Submission is gone and still counts, and a score by earlier settings.

:func:`play_final` is a phase that takes its submissions from another and repeats each run, after its reveal.
"""

from __future__ import annotations

import copy
import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import Any

import numpy as np

from alcove_api import keys
from alcove_api.base import API_VERSION
from alcove_api.board_documents import BoardHistory, CountedSubmissions
from alcove_api.documents import DatasetManifest, FileEntry
from alcove_api.leaderboard import BoardFile
from alcove_api.run_documents import (
    ContainerImage,
    End,
    Manifest,
    Record,
    RepeatedAttempt,
    Verdict,
    commit_head,
)
from alcove_api.run_names import alias_of, list_run_names
from alcove_api.schemes import SchemeName
from alcove_api.score_documents import SCORER_VERSION, LadderBest, ScorePages, ScoreRequest, ScoreResult
from alcove_audit.phase_state import PhaseState
from alcove_operator.core import boards, scoring, shown_scores
from alcove_operator.core.model import SubmissionView
from alcove_scorer.board import collect_results, make_board
from alcove_scorer.board_status import as_status
from alcove_scorer.job_aggregate import render_board
from alcove_scorer.job_score import request_rules
from alcove_scorer.ladder import LadderState, raise_best
from alcove_scorer.ladder_store import ladder_step
from alcove_scorer.row_choice import choose_rows
from alcove_scorer.scored_run import score_record, summarize_run
from alcove_scorer.scoring import RunScorer
from alcove_scorer.store import check_solution
from alcove_store.errors import StoreNotFoundError
from alcove_store.pack import pack_files

NANO = 10**9
BUDGET = 30
START = datetime(2026, 11, 1, 12, tzinfo=UTC)
TEAMS = ("arena-red", "arena-blue")
GONE = "arena-green"
N_TEST, N_LABELS = 20, 2


@dataclass
class MemorySource:
    objects: dict[str, bytes]
    solutions: bool = True
    inputs: bool = True

    def list_sizes(self, prefix: str) -> dict[str, int]:
        return {key: len(data) for key, data in sorted(self.objects.items()) if key.startswith(prefix)}

    def read(self, key: str) -> Iterator[bytes]:
        if key not in self.objects:
            raise StoreNotFoundError(f"There is no {key}.")
        data = self.objects[key]
        yield from (data[at : at + 100] for at in range(0, len(data), 100))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def uid(number: int) -> str:
    return f"{number:08d}-0000-4000-8000-000000000000"


def stamp(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def prediction(seed: int, share: float) -> bytes:
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((N_TEST, N_LABELS)) < share, SOLUTION, 1 - SOLUTION).astype(np.float32)
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


SOLUTION = (np.random.default_rng(1).random((N_TEST, N_LABELS)) < 0.5).astype(np.uint8)
SOLUTION_TEXT = b"".join(b" ".join(b"%d" % v for v in row) + b"\n" for row in SOLUTION)


@dataclass
class World:
    objects: dict[str, bytes] = field(default_factory=dict)
    competition: dict[str, Any] = field(default_factory=dict)
    datasets: list[dict[str, Any]] = field(default_factory=list)
    submissions: list[dict[str, Any]] = field(default_factory=list)
    leaderboard: dict[str, Any] = field(default_factory=dict)
    phase: str = "practice"

    @property
    def state(self) -> PhaseState:
        return PhaseState(
            self.phase,
            self.competition,
            tuple(self.datasets),
            self.leaderboard,
            tuple(self.submissions),
            frozenset({*TEAMS, GONE}),
        )

    @property
    def source(self) -> MemorySource:
        return MemorySource(self.objects)

    def submission(self, team: str) -> dict[str, Any]:
        return next(s for s in self.submissions if s["metadata"]["namespace"] == team)


@cache
def _played(mode: str) -> World:
    world = World()
    _publish(world)
    _open(world, {"name": "practice", "datasets": ["digits", "news"], "feedback": {"mode": mode}})
    for number, team in enumerate((*TEAMS, GONE, TEAMS[0])):
        _play(world, number, team)
    _rank(world)
    return world


def _open(world: World, *phases: dict[str, Any]) -> None:
    world.competition = {
        "apiVersion": API_VERSION,
        "kind": "Competition",
        "metadata": {
            "name": "cup",
            "namespace": "arena",
            "uid": "c-1",
            "generation": 1,
            "creationTimestamp": stamp(START),
        },
        "spec": {"title": "Cup", "phases": [{**phase, "budget": {"seconds": BUDGET}} for phase in phases]},
        "status": {},
    }


@cache
def _played_final() -> World:
    world = World(phase="final")
    _publish(world)
    final = {"name": "final", "datasets": ["digits", "news"], "from": {"phase": "practice"}, "repeats": 2}
    dates = {"opensAt": stamp(START), "revealsAt": stamp(START + timedelta(hours=2))}
    _open(world, {"name": "practice", "datasets": ["other"]}, {**final, **dates})
    for number, team in enumerate(TEAMS):
        _play(world, number, team)
    _rank(world)
    for raw in list(world.submissions):
        _show_to_team(world, raw)
    return world


def play_final() -> World:
    """A copy, as :func:`play`: two teams, two runs on each dataset, and what shows the teams their results."""
    return copy.deepcopy(_played_final())


def _show_to_team(world: World, rerun: dict[str, Any]) -> None:
    """As the operator does after the reveal."""
    shown = copy.deepcopy(rerun)
    team, of = rerun["spec"]["rerunOf"]["team"], rerun["metadata"]["uid"]
    shown_as = f"f{of[1:]}"
    shown["metadata"] |= {"namespace": team, "uid": shown_as}
    world.submissions.append(shown)
    del world.objects[keys.team_report(rerun["metadata"]["namespace"], of)]
    world.objects[keys.team_report(team, shown_as)] = world.objects[keys.report(of)]


def play(mode: str = "final") -> World:
    """A copy, to tamper with; ``mode``: of the phase's feedback."""
    return copy.deepcopy(_played(mode))


def _publish(world: World) -> None:
    world.objects[keys.solution(sha256(SOLUTION_TEXT))] = SOLUTION_TEXT
    for name in ("digits", "news"):
        files = {f"train/{name}-0": name.encode() * 9, "test/metadata.textproto": b"is_sequence: false\n"}
        manifest = DatasetManifest(
            name=name,
            domain="image",
            n_train=10,
            n_test=N_TEST,
            n_labels=N_LABELS,
            labels=("no", "yes"),
            files=tuple(FileEntry(path=p, bytes=len(d), sha256=sha256(d)) for p, d in sorted(files.items())),
        )
        digest = manifest.digest()
        world.objects[keys.dataset_manifest(digest)] = manifest.canonical()
        world.objects |= {keys.dataset_file(digest, path): data for path, data in files.items()}
        world.datasets.append(
            {
                "kind": "Dataset",
                "metadata": {"name": name, "namespace": "arena", "generation": 1},
                "spec": {"alias": f"d-{name}", "dataSha256": digest, "solutionSha256": sha256(SOLUTION_TEXT)},
                "status": {"nTest": N_TEST, "nLabels": N_LABELS},
            }
        )


def _play(world: World, number: int, team: str) -> None:
    code = pack_files({"model.py": f"# {team}\n".encode()})
    world.objects[keys.code(sha256(code))] = code
    raw: dict[str, Any] = {
        "kind": "Submission",
        "metadata": {
            "name": f"first-{number}",
            "namespace": team,
            "uid": uid(number),
            "generation": 1,
            "creationTimestamp": stamp(START + timedelta(minutes=number)),
        },
        "spec": {
            "competition": {"namespace": "arena", "name": "cup"},
            "phase": world.phase,
            "code": {"bundle": {"sha256": sha256(code)}},
        },
        "status": {"phase": "Done", "codeSha256": sha256(code), "runs": []},
    }
    if world.phase == "final":
        raw["metadata"] |= {"name": f"final.{team}", "namespace": "arena"}
        raw["spec"]["rerunOf"] = {"team": team, "submission": "first", "uid": f"practised-{number}"}
    world.submissions.append(raw)
    aliases = tuple(dataset["spec"]["alias"] for dataset in world.datasets)
    for place, alias in enumerate(list_run_names(aliases, world.state.phase.repeats)):
        dataset = next(d for d in world.datasets if d["spec"]["alias"] == alias_of(alias))
        given = {"data_sha256": dataset["spec"]["dataSha256"], "code_sha256": sha256(code)}
        # The platform failed once.
        attempts = 2 if (number, place) == (0, 1) else 1
        heads = [
            _record(world, uid(number), alias, a + 1, 10 * number + place, given) for a in range(attempts)
        ]
        run = {"dataset": alias, "attempt": attempts, "podUid": f"pod-{attempts}", "phase": "Done"}
        raw["status"]["runs"].append({**run, "cause": "Finished", "head": heads[-1]})
        _decide(world, uid(number), alias, attempts, heads[-1])
    for scheme in ("autodl", "hackathon"):
        _score(world, raw, scheme)


def _record(
    world: World, of: str, alias: str, attempt: int, seed: int, given: Mapping[str, str]
) -> str | None:
    """Writes an attempt: three predictions that are scored, a refusal between them, one that is late."""
    prefix, records = keys.attempt_prefix(of, alias, attempt, f"pod-{attempt}"), list[Record]()
    plan = [(1.0, 0.6), (4.0, 0.7), (5.0, None), (20.0, 0.9), (31.0, 0.95)]
    for seq, (seconds, share) in enumerate(plan):
        data = None if share is None else prediction(100 * seed + seq, share)
        records.append(
            Record(
                seq=seq,
                name=f"prediction_{seq:06d}.npy",
                kind="npy",
                seen_ns=min(round(seconds * NANO) - 1000, BUDGET * NANO),
                t_ns=round(seconds * NANO),
                sha256=None if data is None else sha256(data),
                bytes=7 if data is None else len(data),
                refused="It is not a regular file." if data is None else None,
                previous=records[-1].digest() if records else None,
            )
        )
        if data is not None:
            world.objects[keys.snapshot(prefix, seq)] = data
        world.objects[keys.record(prefix, seq)] = records[-1].canonical()
    world.objects[keys.log(prefix)] = b"epoch 1\nepoch 2\n"
    manifest = Manifest(
        submission_uid=of,
        alias=alias,
        attempt=attempt,
        pod_uid=f"pod-{attempt}",
        budget_ns=BUDGET * NANO,
        go_at=START,
        boot_id="boot",
        end=End(cause="budget", ended_ns=BUDGET * NANO + 17),
        overshoot_ns=17,
        records=tuple(records),
        head=records[-1].digest(),
        data_sha256=given["data_sha256"],
        code_sha256=given["code_sha256"],
        log_sha256=sha256(world.objects[keys.log(prefix)]),
    )
    world.objects[keys.manifest(prefix)] = manifest.canonical()
    return manifest.head


def _decide(world: World, of: str, alias: str, attempt: int, head: str | None) -> None:
    """As the operator does, which has looked into the store."""
    repeated = []
    for number in range(1, attempt):
        prefix = keys.attempt_prefix(of, alias, number, f"pod-{number}")
        manifest = world.objects[keys.manifest(prefix)]
        repeated.append(
            RepeatedAttempt(
                attempt=number,
                pod_uid=f"pod-{number}",
                head=Manifest.model_validate_json(manifest).head,
                manifest_sha256=sha256(manifest),
                log_sha256=sha256(world.objects[keys.log(prefix)]),
            )
        )
    verdict = Verdict(
        submission_uid=of,
        alias=alias,
        attempt=attempt,
        pod_uid=f"pod-{attempt}",
        phase="Done",
        cause="Finished",
        charged_to="Participant",
        head=head,
        queued_at=START,
        pulled_at=START,
        images=(ContainerImage(container="main", image_id="r.example/ingestion@sha256:" + "1" * 64),),
        repeated=tuple(repeated),
    )
    world.objects[keys.verdict(of, alias)] = verdict.canonical()


def _request(world: World, raw: dict[str, Any]) -> ScoreRequest:
    state = world.state
    view = next(v for v in state.submission_views if v.uid == raw["metadata"]["uid"])
    asked = scoring.build_request(view, state.rules, state.datasets_by_alias)
    assert not isinstance(asked, str)
    return asked


def _score(world: World, raw: dict[str, Any], scheme: SchemeName) -> None:
    """As the score job does, and then the operator: the status shows the last settings."""
    asked = _request(world, raw)
    asked = asked.replace(scoring=asked.scoring.replace(scheme=scheme))
    rules, runs = request_rules(asked), []
    for dataset in asked.datasets:
        key = keys.verdict(asked.submission_uid, dataset.alias)
        verdict = Verdict.model_validate_json(world.objects[key])
        assert verdict.attempt is not None
        prefix = keys.attempt_prefix(
            asked.submission_uid, dataset.alias, verdict.attempt, f"pod-{verdict.attempt}"
        )
        found = world.objects[keys.manifest(prefix)]
        solution = check_solution(SOLUTION_TEXT, dataset, rules.metric)
        rows = choose_rows(dataset.solution_sha256, solution, asked.feedback, asked.scoring)
        scorer = RunScorer(rules, solution, rows)
        records = Manifest.model_validate_json(found).records
        for record in records:
            score_record(scorer, record, partial(_pieces, world, keys.snapshot(prefix, record.seq)))
        digest = sha256(world.objects[key])
        run = summarize_run(dataset, verdict, digest, records, scorer.outcome(), sha256(found))
        if asked.feedback.mode == "ladder":
            run = run.replace(ladder=_climb(world, asked, dataset.alias, scorer))
        runs.append(run)
    result = ScoreResult(
        submission_uid=asked.submission_uid,
        scorer_version=SCORER_VERSION,
        scoring_digest=asked.scoring_digest(),
        scoring=asked.scoring,
        t0_seconds=rules.t0,
        budget_seconds=asked.budget_seconds,
        runs=tuple(runs),
        test_fraction=asked.feedback.test_fraction,
        # Of an earlier result nothing holds the digest; docs/security.md says so.
        scorer_image="" if scheme == "autodl" else "r.example/scorer@sha256:" + "2" * 64,
    )
    world.objects[keys.score_result(asked.submission_uid, result.scoring_digest)] = result.canonical()
    _show(world, raw, result)


def _climb(world: World, asked: ScoreRequest, alias: str, scorer: RunScorer) -> float:
    """As ``raise_stored_best`` does."""
    ladder_path = (*world.state.phase_path, asked.scoring_digest(), asked.namespace, alias)
    prefix = keys.ladder(*ladder_path)
    chain = [world.objects[key] for key in sorted(world.objects) if key.startswith(prefix)]
    best = LadderBest.model_validate_json(chain[-1]) if chain else None
    state = LadderState(best.shown, best.group_scores) if best else None
    rows = len(scorer.solution if scorer.rows.shown is None else scorer.rows.shown)
    score, groups = scorer.ladder_scores()
    raised = raise_best(state, score, groups, ladder_step(asked, rows), rows)
    if raised is None:
        assert best is not None
        return best.shown
    document = LadderBest(
        number=len(chain),
        submission_uid=asked.submission_uid,
        shown=raised.shown,
        group_scores=raised.group_scores,
    )
    world.objects[keys.ladder_best(prefix, len(chain))] = document.canonical()
    return raised.shown


def _pieces(world: World, key: str) -> Iterator[bytes]:
    yield world.objects[key]


def _show(world: World, raw: dict[str, Any], result: ScoreResult) -> None:
    of, feedback = result.submission_uid, world.state.phase.feedback
    pages = {keys.report(of): b"<p>report</p>", keys.live_curve(of): b"{}"}
    pages |= {keys.score_svg(of, run.alias): b"<svg/>" for run in result.runs}
    files = tuple(
        FileEntry(path=key.rpartition("/")[2], bytes=len(data), sha256=sha256(data))
        for key, data in sorted(pages.items())
    )
    index = ScorePages(
        submission_uid=of,
        scoring_digest=result.scoring_digest,
        files=files,
        result_sha256=result.digest(),
    )
    world.objects |= {**pages, keys.score_pages(of): index.canonical()}
    world.objects[keys.team_report(raw["metadata"]["namespace"], of)] = pages[keys.report(of)]
    status = raw["status"]
    if earlier := status.get("scoringDigest"):
        status["earlierScores"] = [{"scoringDigest": earlier, "scoreSha256": status["scoreSha256"]}]
    status |= {"scoringDigest": result.scoring_digest, "scoreSha256": result.digest()}
    status["pagesSha256"] = index.digest()
    for run, scored in zip(raw["status"]["runs"], result.runs, strict=True):
        shown = shown_scores.scores_to_show(scored.hide_behind_ladder(), result, feedback)
        curve = shown["curve"]
        assert isinstance(curve, tuple)
        run |= {**shown, "curve": [point.model_dump() for point in curve]}


def _rank(world: World) -> None:
    """As the operator and the aggregate job do; then the third team deletes its Submission."""
    state = world.state
    phase_path = state.phase_path
    newest = boards.update_counted({}, state.submission_views, state.rules)
    counted = CountedSubmissions(
        competition_uid="c-1", entries=tuple(newest[team] for team in sorted(newest))
    )
    world.objects[keys.board(*phase_path, "counted.json")] = counted.canonical()
    ranked = boards.select_ranked(state.rules, state.submission_views, (), state.datasets_by_name)
    wanted = boards.compute_digests(ranked, state.rules, state.datasets_by_name)
    aliases = tuple(view.alias for view in state.datasets_by_name.values())
    request = boards.build_board_request(state.rules, aliases, ranked, wanted).replace(generation=3)
    board = make_board(request, collect_results(request, world.objects.__getitem__)[0])
    at = START + timedelta(hours=1, microseconds=5)
    files = {f"request-{request.generation}.json": request.canonical()}
    files |= render_board(board, BoardHistory(), at)
    world.objects |= {keys.board(*phase_path, name): data for name, data in files.items()}
    status = as_status(board, at).replace(
        files=tuple(BoardFile(name=name, sha256=sha256(data)) for name, data in files.items())
    )
    world.leaderboard = {
        "kind": "Leaderboard",
        "metadata": {"name": world.phase, "namespace": "arena"},
        "spec": {"competition": "cup", "phase": world.phase},
        "status": status.model_dump(mode="json", by_alias=True),
    }
    rows = {row.submission.submission_uid: row for row in board.rows}
    for raw in world.submissions:
        row = rows.get(raw["metadata"]["uid"])
        if row is not None:
            raw["status"] |= {"rank": row.rank, "averageRank": row.mean_rank, "counted": True}
    world.submissions = [s for s in world.submissions if s["metadata"]["namespace"] != GONE]


def view_of(world: World, team: str) -> SubmissionView:
    return next(view for view in world.state.submission_views if view.namespace == team)


def blind(world: World, *, revealed: bool = False) -> World:
    """As of a blind phase: before its reveal, without a board, or once that has come.

    Before it, without the Submission that is gone: until there is a board, the store alone tells that it counts.
    """
    phase = world.competition["spec"]["phases"][0]
    phase |= {"feedback": {"mode": "none"}, "revealsAt": stamp(START + timedelta(hours=2))}
    solutions = {d["spec"]["alias"]: d["spec"]["solutionSha256"] for d in world.datasets}
    for raw in world.submissions:
        for run in raw["status"]["runs"]:
            run["headCommitment"] = commit_head(run["head"], solutions[run["dataset"]])
    if revealed:
        return world
    for raw in world.submissions:
        status = raw["status"]
        status |= {"rank": None, "averageRank": None, "counted": False}
        status["conditions"] = [
            {"type": "Scored", "status": "True", "reason": scoring.HELD_BACK, "message": "Held back.",
             "lastTransitionTime": stamp(START)}
        ]  # fmt: skip
        for run in status["runs"]:
            run |= {"head": "", "alc": None, "curve": [], "snapshots": 0}
    world.leaderboard = {}
    prefix = keys.board(*world.state.phase_path, "")
    counted = CountedSubmissions.model_validate_json(world.objects[f"{prefix}counted.json"])
    scoreless = tuple(
        entry.replace(scores=(None,) * len(entry.datasets)) for entry in counted.entries if entry.team != GONE
    )
    raw_code = pack_files({"model.py": f"# {GONE}\n".encode()})
    gone = (prefix, "reports/", f"runs/{uid(2)}/", f"scores/{uid(2)}/", keys.code(sha256(raw_code)))
    world.objects = {key: data for key, data in world.objects.items() if not key.startswith(gone)}
    world.objects[f"{prefix}counted.json"] = counted.replace(entries=scoreless).canonical()
    return world
