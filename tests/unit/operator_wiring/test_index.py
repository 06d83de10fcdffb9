"""The index: newest wins, lists never lose what came while they were under way; the census and who counts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from alcove_api.submission import SubmissionStatus
from alcove_kube.client import KubeClient
from alcove_kube.resources import COMPETITIONS, DATASETS, PODS, SUBMISSIONS
from alcove_operator.api import Api
from alcove_operator.core import names
from alcove_operator.core.boards import select_counted
from alcove_operator.core.census import count_submissions
from alcove_operator.core.model import CompetitionView
from alcove_operator.core.parse_objects import competition_view, submission_view
from alcove_operator.events import PROGRESS_PAUSE, affected_keys, connect
from alcove_operator.index import Index, WorkKey
from alcove_operator.listing import (
    LARGE_PAGE,
    LARGE_PAGE_BYTES,
    LIST_ATTEMPTS,
    SUBMISSIONS_PAGE,
    fill_teams,
)
from alcove_operator.preparation import find_queue_problem, ready_condition
from alcove_operator.submissions import whole_status
from alcove_operator.workqueue import WorkQueue
from tests.unit.kube.server import Answer, refusal, serving
from tests.unit.operator_core.test_boards import rules

SPEC = {
    "competition": {"namespace": "hack", "name": "one"},
    "phase": "practice",
    "code": {"bundle": {"sha256": "a" * 64}},
}


def raw(name: str, version: int, team: str = "red", day: int = 1, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": team,
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            "creationTimestamp": f"2026-01-{day:02}T00:00:00Z",
            "generation": 1,
        },
        "spec": SPEC,
        "status": status,
    }


def competition(**phase: Any) -> CompetitionView:
    spec = {"phases": [{"name": "practice", "datasets": ["d"], "budget": {"seconds": 20}, **phase}]}
    return competition_view({"metadata": {"name": "one", "namespace": "hack", "uid": "u"}, "spec": spec})


def test_an_event_that_is_older_than_an_answer_changes_nothing() -> None:
    index = Index()
    index.apply(SUBMISSIONS, raw("a", 7, phase="Running"))
    index.apply(SUBMISSIONS, raw("a", 5, phase="Queued"))
    assert index.submissions["red", "a"].status.phase == "Running"


def test_submissions_come_earliest_first_and_by_name_within_a_second() -> None:
    index = Index()
    for name, day in (("b", 2), ("z", 1), ("a", 2), ("c", 3)):
        index.apply(SUBMISSIONS, raw(name, 1, day=day))
    assert [view.name for view in index.submissions_of("hack", "one")] == ["z", "a", "b", "c"]


def test_a_name_that_is_used_again_is_taken_in() -> None:
    index = Index()
    index.apply(SUBMISSIONS, raw("a", 7))
    index.apply(SUBMISSIONS, raw("a", 8), deleted=True)
    index.apply(SUBMISSIONS, raw("a", 9))
    assert index.submissions["red", "a"].resource_version == "9"


def test_a_list_drops_what_is_gone_but_not_what_came_since_it_was_asked_for() -> None:
    index = Index()
    index.apply(SUBMISSIONS, raw("gone", 1))
    before = index.known(SUBMISSIONS, "red")
    index.apply(SUBMISSIONS, raw("came", 4))
    index.replace(SUBMISSIONS, "red", before, [raw("listed", 2)])
    assert {name for _, name in index.submissions} == {"came", "listed"}


def test_a_submission_concerns_itself_and_its_competition() -> None:
    assert affected_keys(Index(), SUBMISSIONS, raw("a", 1)) == [
        WorkKey("submission", "red", "a"),
        WorkKey("competition", "hack", "one"),
    ]


def test_the_census_counts_what_waits_and_what_holds_a_place() -> None:
    runs = [{"dataset": "d"}, {"dataset": "e"}, {"dataset": "f", "attempt": 1, "phase": "Running"}]
    runs += [{"dataset": "g", "attempt": 1, "phase": "Scoring"}]
    views = [
        submission_view(raw("a", 1, phase="Running", runs=runs)),
        submission_view(raw("over", 1, phase="Done", runs=[{"dataset": "d", "attempt": 1, "phase": "Done"}])),
    ]
    found = count_submissions(views, frozenset({"d"}))
    assert [(w.submission_uid, w.alias, w.team) for w in found.waiting] == [("uid-a", "d", "red")]
    assert found.running == {("uid-a", "f"): "red"}
    assert (found.queued, found.active) == ({"practice": 2}, {"practice": 1})


def test_the_last_scored_submission_of_each_team_counts() -> None:
    views = [
        submission_view(raw("old", 1, day=1, scoringDigest="x", runs=[{"dataset": "d", "alc": 0.5}])),
        submission_view(raw("new", 1, day=2, scoringDigest="x", runs=[{"dataset": "d", "alc": 0.5}])),
        submission_view(raw("unscored", 1, day=3)),
        submission_view(
            raw("other", 1, team="blue", day=4, scoringDigest="x", runs=[{"dataset": "d", "alc": 0.5}])
        ),
    ]
    assert [v.name for v in select_counted(rules(), views)] == ["new", "other"]
    assert select_counted(rules("final"), views) == []


def test_new_settings_concern_also_what_has_ended() -> None:
    index = Index()
    index.apply(SUBMISSIONS, raw("over", 1, phase="Done"))
    index.apply(SUBMISSIONS, raw("open", 1, phase="Running"))
    document: dict[str, Any] = {
        "metadata": {"name": "one", "namespace": "hack", "uid": "u", "resourceVersion": "5", "generation": 1},
        "spec": {"phases": [{"name": "practice", "datasets": ["d"], "budget": {"seconds": 20}}]},
    }

    def due() -> set[str]:
        return {key.name for key in affected_keys(index, COMPETITIONS, document) if key.kind == "submission"}

    assert due() == {"over", "open"}
    index.apply(COMPETITIONS, document)
    assert due() == set(), "only its status has changed, which no Submission depends on"
    document["metadata"]["generation"] = 2
    assert due() == {"over", "open"}


def test_a_missing_dataset_is_named() -> None:
    status, reason, message = ready_condition(competition(), Index())
    assert (status, reason) == ("False", "DatasetMissing")
    assert "names the Dataset d" in message


def test_a_dataset_without_the_target_that_ranks_need_is_named() -> None:
    index = Index()
    spec = {"alias": "d", "dataSha256": "a" * 64, "solutionSha256": "b" * 64}
    metadata = {"name": "d", "namespace": "hack", "resourceVersion": "1", "generation": 1}
    index.apply(DATASETS, {"metadata": metadata, "spec": spec})
    assert ready_condition(competition(), index)[1] == "DatasetsAreChecked"
    timed = competition(ranking="performance-profile")
    status, reason, message = ready_condition(timed, index)
    assert (status, reason) == ("False", "TargetMissing")
    assert "the Dataset d has none. Set its spec.target." in message
    with_target = {"metadata": {**metadata, "resourceVersion": "2"}, "spec": {**spec, "target": 0.8}}
    index.apply(DATASETS, with_target)
    assert ready_condition(timed, index)[1] == "DatasetsAreChecked"


@pytest.mark.parametrize(
    ("task", "metric", "words"),
    [
        (
            "regression",
            None,
            "metric balanced_accuracy is of labels, and the task is regression: take r2 or mae.",
        ),
        ("regression", "nauc", "metric nauc is of labels, and the task is regression: take r2 or mae."),
        ("multiclass", "r2", "metric r2 is of numbers, and the task is multiclass: take one of labels"),
        ("regression", "mae", ""),
        ("regression", "of-a-plugin", ""),
        ("multilabel", "brier", ""),
    ],
)
def test_a_dataset_that_the_phases_metric_cannot_score_is_named(
    task: str, metric: str | None, words: str
) -> None:
    index = Index()
    spec = {"alias": "d", "dataSha256": "a" * 64, "solutionSha256": "b" * 64}
    metadata = {"name": "d", "namespace": "hack", "resourceVersion": "1", "generation": 1}
    index.apply(DATASETS, {"metadata": metadata, "spec": spec, "status": {"task": task}})
    status, reason, message = ready_condition(competition(scoring={"metric": metric}), index)
    if not words:
        assert reason == "DatasetsAreChecked"
        return
    assert (status, reason) == ("False", "MetricDoesNotFit")
    assert message.startswith("Phase practice cannot score the Dataset d: ")
    assert words in message
    assert message.endswith("Set scoring.metric; datasets of other tasks need another phase.")


def test_a_limit_that_no_prediction_fits_is_named() -> None:
    """Else every run's first prediction is refused, and counts against the team."""
    index = Index()
    document: dict[str, Any] = {
        "metadata": {"name": "d", "namespace": "hack", "resourceVersion": "1", "generation": 1},
        "spec": {"alias": "d", "dataSha256": "a" * 64, "solutionSha256": "b" * 64},
        "status": {
            "observedGeneration": 1,
            "nTest": 10**6,
            "nLabels": 100,
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "Sound", "lastTransitionTime": "2026-01-01T00:00:00Z"}
            ],
        },
    }  # fmt: skip
    index.apply(DATASETS, document)
    assert ready_condition(competition(), index)[:2] == ("True", "Ready")
    document["status"]["nLabels"] = 1000
    document["metadata"]["resourceVersion"] = "2"
    index.apply(DATASETS, document)
    status, reason, message = ready_condition(competition(), index)
    assert (status, reason) == ("False", "NoRoomToPredict")
    assert "4000000000 bytes" in message
    assert "spec.limits.recordedBytes" in message


def test_a_queue_of_kueue_that_can_admit_nothing_is_named() -> None:
    queued = competition()
    queued = replace(queued, spec=queued.spec.replace(local_queue="gpus"))
    index = Index()
    assert ready_condition(queued, index)[1] == "DatasetMissing", "nothing is known of the queue"
    index.queue_problems["hack", "gpus"] = find_queue_problem("gpus", "hack", None)
    status, reason, message = ready_condition(queued, index)
    assert (status, reason) == ("False", "QueueMissing")
    assert message.startswith("There is no LocalQueue gpus of Kueue in hack")
    assert ready_condition(competition(), index)[1] == "DatasetMissing", "one without a queue"
    inactive = {"type": "Active", "status": "False", "message": "Can't submit new workloads to clusterQueue"}
    found = {"status": {"conditions": [inactive]}}
    index.queue_problems["hack", "gpus"] = find_queue_problem("gpus", "hack", found)
    assert ready_condition(queued, index)[1] == "QueueStopped"
    assert "Kueue says: Can't submit new workloads" in ready_condition(queued, index)[2]
    active = {"status": {"conditions": [{**inactive, "status": "True"}]}}
    assert find_queue_problem("gpus", "hack", active) is None
    assert find_queue_problem("gpus", "hack", {}) is None


def test_the_census_queues_what_waits_in_kueue_and_still_counts_its_place() -> None:
    runs = [{"dataset": "d", "attempt": 1, "phase": "Queued"}]
    found = count_submissions([submission_view(raw("a", 1, phase="Queued", runs=runs))], frozenset({"d"}))
    assert (found.waiting, found.running) == ((), {("uid-a", "d"): "red"})
    assert (found.queued, found.active) == ({"practice": 1}, {})


def test_a_status_patch_takes_away_what_has_no_value_and_holds_no_null_within_lists() -> None:
    body = whole_status(SubmissionStatus.model_validate({"runs": [{"dataset": "d"}]}))
    assert body["rank"] is None
    assert "alc" not in body["runs"][0]
    assert body.keys() >= {"phase", "runs", "conditions", "averageRank", "scoringDigest"}


def test_what_cannot_be_read_is_known_to_be_there_until_it_is_gone_or_readable() -> None:
    index = Index()
    document: dict[str, Any] = {
        "metadata": {"name": "one", "namespace": "hack", "uid": "u", "resourceVersion": "5", "generation": 1},
        "spec": {"phases": [{"name": "practice", "datasets": ["d"], "budget": {"seconds": 20}}]},
    }
    index.apply(COMPETITIONS, document)
    metadata = {**document["metadata"], "resourceVersion": "6", "generation": 2}
    index.apply(COMPETITIONS, {"metadata": metadata, "spec": {"phases": "none"}})
    assert index.competitions == {}, "nothing is judged by an older version"
    assert "phases" in index.unreadable[COMPETITIONS, "hack", "one"]
    index.apply(COMPETITIONS, document)
    assert index.competitions == {}, "an older version came late"
    index.replace(COMPETITIONS, "hack", index.known(COMPETITIONS, "hack"), [])
    assert (index.unreadable, index.versions) == ({}, {})
    index.apply(COMPETITIONS, {**document, "metadata": {**metadata, "resourceVersion": "7"}})
    assert list(index.competitions) == [("hack", "one")]


def test_a_dataset_that_cannot_be_read_is_not_called_missing() -> None:
    index = Index()
    metadata = {"name": "d", "namespace": "hack", "resourceVersion": "1", "generation": 1}
    index.apply(DATASETS, {"metadata": metadata, "spec": {"alias": "d"}})
    status, reason, message = ready_condition(competition(), index)
    assert (status, reason) == ("False", "DatasetUnreadable")
    assert "The Dataset d cannot be read: dataSha256" in message


def page(*rows: dict[str, Any], after: str = "") -> Answer:
    return Answer(body={"metadata": {"continue": after}, "items": list(rows)})


FORGOTTEN = refusal(410, "Expired", "The provided continue parameter is too old")


def fill(index: Index, folder: Path, *steps: Answer) -> list[str]:
    """Paths that were asked for while the team's namespace was listed."""
    with serving(*steps) as server:
        api = Api(KubeClient.from_kubeconfig(server.kubeconfig(folder)))
        asyncio.run(fill_teams(index, api, ["red"]))
    return [asked.path for asked in server.asked]


def test_a_list_whose_moment_the_server_forgets_begins_again(tmp_path: Path) -> None:
    """The second try is of a later moment: "a" has gone meanwhile, and "c" has come."""
    index = Index()
    index.apply(SUBMISSIONS, raw("z", 1))
    steps = (page(raw("a", 2), after="old"), FORGOTTEN, page(raw("b", 3), after="new"), page(raw("c", 9)))
    asked = fill(index, tmp_path, *steps)
    assert ["continue=old" in path for path in asked] == [False, True, False, False]
    assert "continue=new" in asked[3]
    assert sorted(name for _, name in index.submissions) == ["b", "c"]
    assert index.is_filled(SUBMISSIONS, "red")


def test_a_list_that_the_server_forgets_each_time_is_given_up_for_now(tmp_path: Path) -> None:
    index = Index()
    index.apply(SUBMISSIONS, raw("z", 1))
    asked = fill(index, tmp_path, *[page(raw("a", 2), after="old"), FORGOTTEN] * 5)
    assert len(asked) == 2 * LIST_ATTEMPTS
    assert ("red", "z") in index.submissions, "what was not listed to the end proves no absence"
    assert not index.is_filled(SUBMISSIONS, "red")


def test_submissions_that_a_team_has_made_large_are_listed_a_few_at_a_time(tmp_path: Path) -> None:
    """Whatever a team hangs on its Submissions, no more than so many bytes are in memory at once."""
    large = raw("a", 2)
    large["metadata"]["annotations"] = {"x": "y" * LARGE_PAGE_BYTES}
    index = Index()
    asked = fill(index, tmp_path, page(large), page(large, after="a"), page(raw("b", 3)))
    limits = [dict(parse_qsl(urlsplit(path).query))["limit"] for path in asked]
    assert limits == [str(LARGE_PAGE), str(SUBMISSIONS_PAGE), str(LARGE_PAGE)]
    assert sorted(name for _, name in index.submissions) == ["a", "b"]


def connected() -> tuple[Index, WorkQueue[WorkKey]]:
    index, queue = Index(), WorkQueue[WorkKey](clock=lambda: 0.0)
    connect(index, queue)
    return index, queue


def take_all(queue: WorkQueue[WorkKey]) -> set[tuple[str, str]]:
    """Kind and name of all that is due now."""
    found: set[tuple[str, str]] = set()
    while (key := queue.take()) is not None:
        found.add((key.kind, key.name))
        queue.done(key)
    return found


def test_a_change_makes_keys_due_once_wherever_it_comes_from() -> None:
    index, queue = connected()
    index.apply(SUBMISSIONS, raw("a", 5))
    assert take_all(queue) == {("submission", "a"), ("competition", "one")}
    index.apply(SUBMISSIONS, raw("a", 5))
    index.apply(SUBMISSIONS, raw("a", 4))
    assert take_all(queue) == set(), "the event of a write whose answer was here first"
    index.replace(SUBMISSIONS, "red", index.known(SUBMISSIONS, "red"), [raw("a", 6)])
    assert take_all(queue) == {("submission", "a"), ("competition", "one")}
    index.apply(SUBMISSIONS, raw("a", 6), deleted=True)
    assert take_all(queue) == {("submission", "a"), ("competition", "one")}


def test_what_only_goes_on_waits_for_more_of_the_same() -> None:
    index, queue = connected()
    index.apply(SUBMISSIONS, raw("a", 1))
    take_all(queue)
    labels = {names.ROLE: names.RUN, names.SUBMISSION_UID: "uid-a"}
    metadata = {"namespace": "hack", "name": "r-a", "labels": labels, "resourceVersion": "2"}
    index.apply(PODS, {"metadata": metadata, "status": {"phase": "Running"}})
    assert take_all(queue) == set()
    assert queue.next_due() == PROGRESS_PAUSE
    ended = {"phase": "Running", "containerStatuses": [{"name": "main", "state": {"terminated": {}}}]}
    index.apply(PODS, {"metadata": {**metadata, "resourceVersion": "3"}, "status": ended})
    assert take_all(queue) == {("submission", "a")}, "the kubelet says later that the pod has ended"
    over = {"metadata": {**metadata, "resourceVersion": "4"}, "status": {"phase": "Succeeded"}}
    index.apply(PODS, over)
    assert take_all(queue) == {("submission", "a")}
    index.apply(PODS, over, deleted=True)
    assert take_all(queue) == {("submission", "a")}


def test_of_what_has_ended_curves_are_dropped_but_of_the_newest() -> None:
    index = Index()
    runs = [{"dataset": "d", "phase": "Done", "alc": 0.5, "curve": [{"t": 1.0, "score": 0.5}]}]
    for day, name in enumerate(("old", "new"), start=1):
        index.apply(SUBMISSIONS, raw(name, day, day=day, phase="Done", runs=runs))
    old, new = (index.submissions["red", name] for name in ("old", "new"))
    for view in (old, new):
        index.shorten(view)
    assert index.submissions["red", "new"] is new
    short = index.submissions["red", "old"]
    assert [(run.alc, run.curve) for run in short.status.runs] == [(0.5, ())]
    assert index.is_shortened(short)
    index.apply(SUBMISSIONS, raw("old", 1, day=1, phase="Done", runs=runs))
    assert index.is_shortened(index.submissions["red", "old"]), "nothing was read again"
    index.apply_whole(SUBMISSIONS, raw("old", 1, day=1, phase="Done", runs=runs))
    assert index.submissions["red", "old"] == old
    assert not index.is_shortened(old)


def test_the_newest_curve_of_each_phase_stays_though_there_is_a_newer_submission() -> None:
    index = Index()
    runs = [{"dataset": "d", "phase": "Done", "alc": 0.5, "curve": [{"t": 1.0, "score": 0.5}]}]
    sprint = raw("sprint", 2, day=2, phase="Done", runs=runs)
    index.apply(SUBMISSIONS, raw("practice", 1, day=1, phase="Done", runs=runs))
    index.apply(SUBMISSIONS, {**sprint, "spec": {**SPEC, "phase": "sprint"}})
    index.apply(SUBMISSIONS, raw("queued", 3, day=3, phase="Queued", runs=[{"dataset": "d"}]))
    before = dict(index.submissions)
    for view in before.values():
        index.shorten(view)
    assert dict(index.submissions) == before, "dashboards draw the newest curve that a team has in a phase"


def test_a_dataset_that_changes_concerns_who_waits_for_it() -> None:
    """To be admitted, or for another attempt: no other event tells them that it is there, or repaired."""
    index, queue = connected()
    spec = {"phases": [{"name": "practice", "datasets": ["d"], "budget": {"seconds": 20}}]}
    metadata = {"namespace": "hack", "resourceVersion": "1", "generation": 1}
    index.apply(COMPETITIONS, {"metadata": {**metadata, "name": "one"}, "spec": spec})
    run = {"attempt": 1, "phase": "Running"}
    index.apply(SUBMISSIONS, raw("new", 1))
    index.apply(SUBMISSIONS, raw("again", 1, phase="Running", runs=[{**run, "dataset": "d.2"}]))
    index.apply(SUBMISSIONS, raw("elsewhere", 1, phase="Running", runs=[{**run, "dataset": "e"}]))
    index.apply(SUBMISSIONS, raw("over", 1, phase="Done", runs=[{**run, "dataset": "d", "phase": "Done"}]))
    take_all(queue)
    dataset = {"alias": "d", "dataSha256": "a" * 64, "solutionSha256": "b" * 64}
    index.apply(DATASETS, {"metadata": {**metadata, "name": "d"}, "spec": dataset})
    due = take_all(queue)
    assert due == {("dataset", "d"), ("competition", "one"), ("submission", "new"), ("submission", "again")}
