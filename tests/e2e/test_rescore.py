"""`alcove rescore` as an organizer types it: ranks are seen to move before anything does, and nothing is run again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alcove_api import keys
from alcove_api.phase import PhaseFeedback
from tests.demo.hackathon import DemoError, Hackathon, wait_for
from tests.e2e import models
from tests.e2e.conftest import Team, alcove, as_participant

pytestmark = pytest.mark.e2e


def state(hackathon: Hackathon) -> dict[str, str]:
    """Versions of everything that a rescore could change and must not, unless it is meant."""
    out = hackathon.kubectl("get", "competitions,submissions,leaderboards,jobs", "-A", "-o", "json")
    found = {
        f"{i['kind']}/{i['metadata']['name']}": i["metadata"]["resourceVersion"]
        for i in json.loads(out)["items"]
    }
    store = hackathon.store("scorer")
    boards = hackathon.store("aggregate")
    for prefix, reader in (("boards/", boards), ("runs/", store)):
        for o in reader.list_objects(keys.MAIN_BUCKET, prefix=prefix, recursive=True):
            found[o.object_name] = str(o.version_id or o.etag)
    return found


def ranks(hackathon: Hackathon) -> dict[str, int]:
    entries = hackathon.get("leaderboard", "single").get("status", {}).get("entries", [])
    return {entry["team"]: entry["rank"] for entry in entries}


def runs_ever(hackathon: Hackathon) -> list[str]:
    """Jobs of runs, those that the cluster's Events still tell of among them."""
    out = hackathon.kubectl("get", "events", "-n", hackathon.name, "-o", "json")
    told = {
        e["involvedObject"]["name"] for e in json.loads(out)["items"] if e["involvedObject"]["kind"] == "Job"
    }
    return sorted(name for name in told if name.startswith("r-"))


def rescore(hackathon: Hackathon, *arguments: str) -> str:
    done = alcove(hackathon.cluster, "rescore", hackathon.name, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def scored(red: Team, blue: Team, hackathon: Hackathon) -> dict[str, Team]:
    """Two teams with a score and a rank: one that says yes, and one that only orders."""
    red.submit("bold", models.BOLD)
    blue.submit("shy", models.SHY)
    for team, name in ((red, "bold"), (blue, "shy")):
        assert team.until(name)["phase"] == "Done"
    wait_for("both ranks", lambda: ranks(hackathon) == {red.namespace: 1, blue.namespace: 2})
    # What a team had before stands until its new one is on the board: both are to be there.
    for rank, (team, name) in enumerate(((red, "bold"), (blue, "shy")), 1):
        wait_for("the Submissions' own", lambda t=team, n=name, r=rank: t.status(n).get("rank") == r)  # type: ignore[misc]
    wait_for("no Job being left but the board's", lambda: not _busy(hackathon))
    return {"bold": red, "shy": blue}


@pytest.fixture
def settings(hackathon: Hackathon) -> Iterator[None]:
    """Of scoring, as they were once the test is over."""
    name, before = hackathon.name, hackathon.get("competition", hackathon.name)["spec"]
    yield
    put_back = [
        {"op": "add", "path": f"/spec/{part}", "value": before[part]} for part in ("scoring", "phases")
    ]
    hackathon.kubectl("patch", "competition", name, "-n", name, "--type", "json", "-p", json.dumps(put_back))


def _busy(hackathon: Hackathon) -> list[str]:
    out = hackathon.kubectl("get", "jobs", "-n", hackathon.name, "-o", "json")
    jobs: list[dict[str, Any]] = json.loads(out)["items"]
    return [
        j["metadata"]["name"]
        for j in jobs
        if j["metadata"]["name"][:2] in ("s-", "r-") or not j.get("status", {}).get("conditions")
    ]


@pytest.mark.usefixtures("settings")
def test_ranks_move_as_they_were_said_to_and_back(
    scored: dict[str, Team], hackathon: Hackathon, tmp_path: Path
) -> None:
    red, blue = scored["bold"], scored["shy"]
    before, runs = state(hackathon), runs_ever(hackathon)
    old = {name: team.results(name) for name, team in scored.items()}

    table = rescore(hackathon, "--scheme", "autodl", "--dry-run")
    assert "single: 2 of 2 teams would have another rank." in table
    (line,) = (line for line in table.splitlines() if line.startswith(red.namespace))
    assert "1 → 2" in line
    assert state(hackathon) == before, "a dry run changes nothing"

    document = json.loads(rescore(hackathon, "--scheme", "autodl", "--yes", "--json"))
    (board,) = document["phases"]
    moves = {team["team"]: (team["old_rank"], team["new_rank"]) for team in board["teams"]}
    assert moves == {red.namespace: (1, 2), blue.namespace: (2, 1)}
    assert ranks(hackathon) == {red.namespace: 2, blue.namespace: 1}, "the command ends when it is shown"
    wait_for("the Submissions' own ranks", lambda: blue.status("shy").get("rank") == 1)
    for name, team in scored.items():
        results = team.results(name)
        assert old[name].items() <= results.items(), "the old scores stay"
        assert len(results) == 2
        told = next(t for t in board["teams"] if t["team"] == team.namespace)
        digest = team.status(name)["scoringDigest"]
        assert told["scores"][0]["new"] == results[digest].runs[0].alc
        shown = round(results[digest].runs[0].alc or 0, PhaseFeedback().decimals)
        assert team.run(name)["alc"] == shown
    assert runs_ever(hackathon) == runs, "nothing was run again"

    assert "Nothing would change" in alcove(hackathon.cluster, "rescore", hackathon.name).stderr

    rescore(hackathon, "--phase", "single", "--scheme", "hackathon", "--yes")
    spec = hackathon.get("competition", hackathon.name)["spec"]
    assert spec["scoring"]["scheme"] == "autodl"
    assert {p["name"]: p["scoring"]["scheme"] for p in spec["phases"] if "scoring" in p} == {
        "single": "hackathon"
    }
    assert ranks(hackathon) == {red.namespace: 1, blue.namespace: 2}
    for name, team in scored.items():
        digest = team.status(name)["scoringDigest"]
        assert {digest: team.results(name)[digest]} == old[name], "the very same scores"
    assert runs_ever(hackathon) == runs
    _verify(red, hackathon, tmp_path)


def _verify(team: Team, hackathon: Hackathon, folder: Path) -> None:
    """All of it is as it was recorded, for the organizer and for whoever has the archive; teams can read none of it."""
    where = ("--competition", hackathon.name, "--store", hackathon.store_url())
    said: list[str] = []

    def whole() -> bool:
        done = alcove(hackathon.cluster, "verify", "single", *where, "--json")
        said[:] = [done.stdout, done.stderr]
        return done.returncode == 0

    try:
        wait_for("the phase being as it was recorded", whole)
    except DemoError as error:
        raise AssertionError("\n".join(said)) from error
    checks = {check["check"]: check["checked"] for check in json.loads(said[0])["checks"]}
    needed = (
        "head",
        "record",
        "prediction",
        "output",
        "image",
        "result",
        "score",
        "pages",
        "board",
        "board_files",
    )
    assert all(checks[name] for name in needed), checks
    archive = folder / "single.tar.gz"
    done = alcove(hackathon.cluster, "export", "single", *where, "--out", str(archive), "--solutions")
    assert done.returncode == 0, done.stderr
    done = alcove(hackathon.cluster, "verify", str(archive))
    assert done.returncode == 0, done.stdout + done.stderr
    own = as_participant(hackathon, team.namespace, folder)
    for command in ("verify", "export"):
        done = alcove(own, command, "single", *where)
        assert (done.returncode, done.stdout) == (2, ""), done.stdout + done.stderr


def test_wrong_use_is_one_line_and_changes_nothing(hackathon: Hackathon) -> None:
    before = hackathon.get("competition", hackathon.name)["spec"]
    for arguments, said in (
        (("nowhere/nothing",), "nowhere"),
        ((hackathon.name, "--scheme", "autodll"), "autodl"),
        ((hackathon.name, "--t0", "-1"), "--t0"),
        ((hackathon.name, "--phase", "none-such"), "none-such"),
    ):
        done = alcove(hackathon.cluster, "rescore", *arguments)
        assert done.returncode == 2, done.stdout + done.stderr
        assert said in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert hackathon.get("competition", hackathon.name)["spec"] == before


def test_a_metric_that_the_scorer_does_not_know_changes_nothing(red: Team, hackathon: Hackathon) -> None:
    red.submit("bold", models.BOLD)
    red.until("bold")
    before = hackathon.get("competition", hackathon.name)["spec"]
    done = alcove(hackathon.cluster, "rescore", hackathon.name, "--metric", "nonesuch", "--yes")
    assert done.returncode == 1
    assert "nonesuch" in done.stderr
    assert "Traceback" not in done.stderr
    assert hackathon.get("competition", hackathon.name)["spec"] == before
    assert "rescore" not in hackathon.kubectl("get", "jobs", "-n", hackathon.name)
