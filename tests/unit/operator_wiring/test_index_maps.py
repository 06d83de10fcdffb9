"""The index's maps say what a scan of its rows would, and its rows what the newest version of each object says."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from alcove_kube.resources import JOBS, SUBMISSIONS, Resource
from alcove_operator.core import names
from alcove_operator.index import Index, Known

RESOURCES = st.sampled_from([SUBMISSIONS, JOBS])
NAMES = st.sampled_from("abc")
TEAMS = st.sampled_from(["red", "blue"])
COMPETITIONS = st.sampled_from(["one", "two"])
Spot = tuple[Resource, str, str]


def make(resource: Resource, team: str, name: str, uid: str, version: int, of: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"namespace": team, "name": name, "uid": uid, "resourceVersion": str(version)}
    if resource is JOBS:
        labels = {names.SUBMISSION_UID: of, names.ROLE: names.RUN}
        return {"metadata": {**metadata, "labels": labels}, "spec": {"template": {"spec": {}}}}
    reference = {"namespace": "hack", "name": of}
    code = {"bundle": {"sha256": "a" * 64}}
    return {"metadata": metadata, "spec": {"competition": reference, "phase": "p", "code": code}}


class IndexMachine(RuleBasedStateMachine):
    """A server whose events, lists and answers reach the index late, twice and in any order."""

    events = Bundle("events")
    lists = Bundle("lists")
    reads = Bundle("reads")

    def __init__(self) -> None:
        super().__init__()
        self.index = Index()
        self.version = 0
        self.server: dict[Spot, dict[str, Any]] = {}
        self.listed: set[tuple[Resource, str]] = set()

    @rule(target=events, resource=RESOURCES, team=TEAMS, name=NAMES, of=COMPETITIONS)
    def write(
        self, resource: Resource, team: str, name: str, of: str
    ) -> tuple[Resource, dict[str, Any], bool]:
        self.version += 1
        old = self.server.get((resource, team, name))
        uid = old["metadata"]["uid"] if old else f"uid-{self.version}"
        raw = make(resource, team, name, uid, self.version, of)
        self.server[resource, team, name] = raw
        return resource, raw, False

    @rule(target=events, resource=RESOURCES, team=TEAMS, name=NAMES)
    def delete(self, resource: Resource, team: str, name: str) -> tuple[Resource, dict[str, Any], bool]:
        self.version += 1
        old = self.server.pop((resource, team, name), None)
        raw = old or make(resource, team, name, "none", self.version, "one")
        return resource, {**raw, "metadata": {**raw["metadata"], "resourceVersion": str(self.version)}}, True

    @rule(event=events)
    def deliver(self, event: tuple[Resource, dict[str, Any], bool]) -> None:
        self.index.apply(*event)

    @rule(target=lists, resource=RESOURCES, team=TEAMS)
    def ask_for_list(
        self, resource: Resource, team: str
    ) -> tuple[Resource, str, Known, list[dict[str, Any]]]:
        before = self.index.known(resource, team)
        found = [raw for (of, where, _), raw in self.server.items() if (of, where) == (resource, team)]
        return resource, team, before, found

    @rule(answer=consumes(lists))
    def take_list(self, answer: tuple[Resource, str, Known, list[dict[str, Any]]]) -> None:
        self.index.replace(*answer)
        self.listed.add(answer[:2])

    @rule(target=reads, resource=RESOURCES, team=TEAMS, name=NAMES)
    def read(self, resource: Resource, team: str, name: str) -> tuple[Spot, int | None, bool]:
        known = self.index.versions.get((resource, team, name))
        return (
            (resource, team, name),
            known.resource if known else None,
            (resource, team, name) in self.server,
        )

    @rule(answer=consumes(reads))
    def take_read(self, answer: tuple[Spot, int | None, bool]) -> None:
        (resource, team, name), version, there = answer
        if version is not None and not there:
            self.index.drop(resource, (team, name), version)

    @rule()
    def settle(self) -> None:
        """Whatever went before, a full list that nothing overtakes leaves what the server has."""
        for resource in (SUBMISSIONS, JOBS):
            for team in ("red", "blue"):
                self.take_list(self.ask_for_list(resource, team))
        there = {spot: int(raw["metadata"]["resourceVersion"]) for spot, raw in self.server.items()}
        assert {spot: known.resource for spot, known in self.index.versions.items()} == there

    @invariant()
    def maps_agree_with_a_scan(self) -> None:
        views = list(self.index.submissions.values())
        for uid in {view.uid for view in views} | {"gone"}:
            assert self.index.submission_by_uid(uid) == next((v for v in views if v.uid == uid), None)
        for name in ("one", "two"):
            scanned = {view.uid for view in views if view.spec and view.spec.competition.name == name}
            assert {view.uid for view in self.index.submissions_of("hack", name)} == scanned
            jobs = {
                (ref, job.view) for ref, job in self.index.jobs.items() if job.view.submission_uid == name
            }
            assert set(self.index.jobs_of(name)) == {view for _, view in jobs}
            assert set(self.index.jobs.names_having("submission_uid", name)) == {ref for ref, _ in jobs}

    @invariant()
    def every_row_has_a_version_and_no_row_is_newer_than_the_server(self) -> None:
        rows = {(SUBMISSIONS, *ref) for ref in self.index.submissions} | {
            (JOBS, *ref) for ref in self.index.jobs
        }
        assert set(self.index.versions) == rows
        assert all(known.resource <= self.version for known in self.index.versions.values())

    @invariant()
    def only_listed_namespaces_count_as_filled(self) -> None:
        for resource in (SUBMISSIONS, JOBS):
            for team in ("red", "blue"):
                assert self.index.is_filled(resource, team) == ((resource, team) in self.listed)


TestIndexMachine = IndexMachine.TestCase
TestIndexMachine.settings = settings(max_examples=60)


def event(version: int, uid: str) -> dict[str, Any]:
    return make(SUBMISSIONS, "red", "a", uid, version, "one")


def test_the_late_end_of_an_earlier_object_takes_no_later_one_of_its_name_away() -> None:
    index = Index()
    index.apply(SUBMISSIONS, event(3, "first"))
    index.apply(SUBMISSIONS, event(9, "second"))
    index.apply(SUBMISSIONS, event(7, "first"), deleted=True)
    assert index.submissions["red", "a"].uid == "second"


def test_an_answer_that_comes_after_the_end_does_not_bring_an_object_back() -> None:
    index = Index()
    index.apply(SUBMISSIONS, event(3, "first"))
    index.apply(SUBMISSIONS, event(7, "first"), deleted=True)
    index.apply(SUBMISSIONS, event(5, "first"))
    index.apply(SUBMISSIONS, event(7, "first"))
    assert not index.submissions
