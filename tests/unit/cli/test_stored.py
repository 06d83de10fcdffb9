"""What `alcove usage` and `alcove prune` print, and when nothing is deleted."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest
from typer.testing import CliRunner

from alcove_api.competition import CompetitionStatus, RetentionStatus
from alcove_api.submission import PrunedParts
from alcove_cli import stored as commands
from alcove_cli.errors import CommandError, FaultError
from alcove_cli.full_logs import explain_missing
from alcove_cli.main import app, mount
from alcove_cli.stored import StoredCompetition
from alcove_kube.client import KubeClient, Object
from alcove_operator.core.retention import RetentionInput
from alcove_operator.core.store_use import StoreUse, find_part
from tests.unit.operator_core.test_retention import DATASET, LATE, competition, submission

MIB = 1 << 20


def stored() -> StoredCompetition:
    """Red has an earlier Submission, which nothing needs, and one that counts; somebody's are unknown."""
    old, new = submission("old"), submission("new", 25)
    use = StoreUse()
    for uid in (old.uid, new.uid, "elsewhere"):
        for seq in range(3):
            use.add(f"runs/{uid}/digits/1-pod/snap/{seq:08d}.bin", MIB)
            use.add(f"runs/{uid}/digits/1-pod/rec/{seq:08d}.json", 200)
        use.add(f"runs/{uid}/digits/1-pod/log.txt", 2048)
        use.add(f"reports/red/{uid}.html", 1000)
        use.add(f"reports/red/{uid}/digits.log", 2048)
    use.add(f"code/{old.status.code_sha256}.tar.gz", 5 * MIB)
    use.add("data/names/x", 10)
    use.add_upload("shared/red/0/dataset.tar.gz", 7 * MIB)
    of = competition()
    given = RetentionInput([of], [old, new], {"ds": DATASET}, {}, (), LATE)
    return StoredCompetition(of, given, use)


def test_who_has_what_in_the_store() -> None:
    lines = commands.describe_use(stored(), "team")
    assert [line.split() for line in lines] == [
        ["TEAM", "SNAPSHOTS", "OUTPUT", "RESULTS", "CODE", "UPLOADS", "TOTAL"],
        ["red", "6.0", "MiB", "8.0", "KiB", "3.1", "KiB", "5.0", "MiB", "7.0", "MiB", "18.0", "MiB"],
        ["(unknown)", "3.0", "MiB", "4.0", "KiB", "1.6", "KiB", "-", "-", "3.0", "MiB"],
    ]
    assert max(map(len, lines)) <= 80
    by_submission = commands.describe_use(stored(), "submission")
    assert [line.split()[0] for line in by_submission[1:]] == ["red/old", "red/-", "(unknown)/-", "red/new"]
    prefixes = {line.split()[0] for line in commands.describe_use(stored(), "prefix")[1:]}
    assert prefixes == {"runs", "reports", "code", "data", "shared"}
    document = commands.use_document(stored())
    assert {team["team"]: team["parts"]["snapshots"]["objects"] for team in document["teams"]} == {
        "red": 6,
        "(unknown)": 3,
    }


def test_what_goes_and_why_the_rest_is_kept() -> None:
    found = stored()
    plan = found.plan()
    rows = commands.list_prunable(found, plan)
    text = "\n".join(commands.describe_plan(found, plan, rows))
    assert [(row.submission, row.part, row.size.objects) for row in rows] == [
        ("old", "snapshots", 3),
        ("old", "logs", 2),
        ("old", "bundle", 1),
    ]
    assert "Goes: 8.0 MiB of 1 submission that nothing needs" in text
    assert "snapshots after 10 days, output after 5 days, code after 20 days" in text
    assert "Kept: 1, since it counts for its team." in text
    document = commands.plan_document(found, plan, rows)
    assert document["bytes"] == 8 * MIB + 2 * 2048
    assert document["days"] == {"snapshots": 10, "logs": 5, "bundle": 20}
    assert document["kept"] == [{"reason": "it counts for its team", "count": 1}]
    assert document["pruned"] == []


def test_what_has_gone_before_and_what_cannot_be_scored_again_is_said() -> None:
    found = stored()
    plan = found.plan()
    said = "\n".join(commands.describe_plan(found, plan, commands.list_prunable(found, plan)))
    assert "Gone before" not in said
    assert "cannot be scored by other settings" in said, "its snapshots would go"
    views = [
        replace(v, status=v.status.replace(pruned=PrunedParts(snapshots=LATE, logs=LATE)))
        if v.name == "old"
        else v
        for v in found.given.submissions
    ]
    after = replace(found, given=replace(found.given, submissions=views))
    plan = after.plan()
    rows = [row for row in commands.list_prunable(after, plan) if row.part == "bundle"]
    said = "\n".join(commands.describe_plan(after, plan, rows))
    assert "Gone before: snapshots of 1 submission, output of 1 submission." in said
    assert commands.plan_document(after, plan, rows)["pruned"] == [
        {"part": "snapshots", "count": 1},
        {"part": "logs", "count": 1},
    ]
    assert "cannot be scored by other settings" in said


def test_without_a_retention_it_says_how_to_set_one() -> None:
    with pytest.raises(CommandError, match=r"no retention.*spec\.retention"):
        replace(stored(), competition=competition(None)).plan()


class AskedCluster:
    """Has a Competition whose operator answers a request, or none."""

    def __init__(self, answers: bool) -> None:
        self.answers, self.request = answers, ""

    def patch(self, _resource: object, _namespace: str, _name: str, body: Object) -> None:
        (self.request,) = body["metadata"]["annotations"].values()

    def get(self, *_: object) -> Object:
        status = CompetitionStatus(
            retention=RetentionStatus(request=self.request if self.answers else "", message="Done so.")
        )
        return {
            "metadata": {
                "name": "cup",
                "namespace": "comp",
                "uid": "u",
                "annotations": {"alcove.dev/prune": self.request},
            },
            "spec": competition().spec.model_dump(mode="json", by_alias=True, exclude_none=True),
            "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
        }


def test_the_operator_is_asked_and_its_answer_is_told() -> None:
    said: list[str] = []
    cluster = cast(KubeClient, AskedCluster(answers=True))
    assert commands.ask_operator(cluster, ("comp", "cup"), said.append) == "Done so."
    silent = cast(KubeClient, AskedCluster(answers=False))
    with pytest.raises(FaultError, match="has not answered"):
        commands.ask_operator(silent, ("comp", "cup"), said.append, timeout=0.1)


@pytest.mark.parametrize(
    ("options", "typed", "asked"),
    [
        (["--yes"], "", True),
        ([], "y\n", True),
        ([], "n\n", False),
        ([], "", False),
        (["--dry-run"], "y\n", False),
    ],
)
def test_nothing_is_deleted_for_good_that_nobody_agreed_to(
    monkeypatch: pytest.MonkeyPatch, options: list[str], typed: str, asked: bool
) -> None:
    """Not in a script either, whose input is empty."""
    mount()
    cluster = AskedCluster(answers=True)
    monkeypatch.setattr(KubeClient, "from_kubeconfig", lambda _: cluster)
    monkeypatch.setattr(StoredCompetition, "read", lambda *_: stored())
    told = CliRunner().invoke(app, ["prune", "comp/cup", *options], input=typed)
    assert (cluster.request != "", "Done so." in told.stdout) == (asked, asked), told.output
    assert told.exit_code == (0 if asked or "--dry-run" in options else 1)


def test_output_that_retention_has_deleted_is_said() -> None:
    status = submission("old", pruned=PrunedParts(logs=LATE)).status
    raw = {"status": status.model_dump(mode="json", by_alias=True, exclude_none=True)}
    assert explain_missing(raw) == "It was deleted by the competition's retention on 2026-02-04."


@pytest.mark.parametrize(
    ("key", "part"),
    [
        ("runs/u/d/1-p/snap/00000000.bin", "snapshots"),
        ("runs/u/d/1-p/snap/00000000.bin/x", "results"),
        ("runs/u/d/1-p/snapx/00000000.bin", "results"),
        ("runs/u/d/verdict.json", "results"),
        ("runs/u/d/1-p/log.txt", "logs"),
        ("runs/u/log.txt", "results"),
        ("reports/team/u/d.log", "logs"),
        ("reports/team/u.html", "results"),
        ("scores/u/report.html", "results"),
        (f"code/{'a' * 64}.tar.gz", "bundle"),
        ("code/x.tar.gz", None),
        ("boards/ns.c/p/table.json", None),
        ("data/names/x", None),
    ],
)
def test_what_an_object_is_part_of(key: str, part: str | None) -> None:
    assert find_part(key) == part
