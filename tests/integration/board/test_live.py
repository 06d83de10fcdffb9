"""A board that changes while people look: what is asked of the store for it, and what is shown meanwhile."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from alcove_api import keys
from alcove_api.board_documents import ActiveRun, PhaseActivity
from alcove_store.client import put_bytes
from tests.unit.kube.server import refusal

from .conftest import COMPETITION, TITLE, RunningServer, board_of

pytestmark = pytest.mark.integration
READS = 'alcove_board_server_reads_total{what="%s"}'


def place(phase: str, rest: str = "") -> str:
    return f"/{COMPETITION}/{phase}{rest}"


def generation_of(server: RunningServer, phase: str) -> int:
    """That the server has learned of."""
    phases = server.get("/competitions.json").json()["phases"]
    return int(next(said["generation"] for said in phases if said["phase"] == phase))


def test_the_first_page_leads_to_every_phase_and_says_when_a_hidden_one_is_shown(
    server: RunningServer,
) -> None:
    page = server.get("/").data.decode()
    for phase in ("practice", "final", "later"):
        assert f'href="{place(phase)}"' in page
    assert TITLE in page
    assert page.count("12 teams are ranked") == 1
    assert "5 teams" not in page
    found = {said["phase"]: said for said in server.get("/competitions.json").json()["phases"]}
    assert (found["practice"]["teams"], "teams" in found["final"]) == (12, False)


def test_what_has_not_changed_is_answered_without_content_and_else_compressed(server: RunningServer) -> None:
    for path in (place("practice"), place("practice", "/table.json"), "/-/style.css", "/-/live.js", "/"):
        first = server.get(path)
        again = server.get(path, if_none_match=first.headers["ETag"])
        assert (first.status, again.status, again.data) == (200, 304, b""), path
        packed = server.get(path, accept_encoding="gzip")
        assert packed.headers["Content-Encoding"] == "gzip"
        assert packed.data == first.data
    assert server.get(place("practice"), if_none_match='W/"other"').status == 200


def test_programs_get_the_board_as_json_and_csv(server: RunningServer) -> None:
    table = server.get(place("practice", "/table.json")).json()
    rows = list(csv.DictReader(io.StringIO(server.get(place("practice", "/table.csv")).data.decode())))
    assert len(table["entries"]) == len(rows) == 12
    assert [row["team"] for row in rows] == [entry["team"] for entry in table["entries"]]
    assert len(server.get(place("practice", "/history.json")).json()["boards"]) == 1
    assert server.get(place("practice", "/curves.json")).json()["curves"]
    assert server.get(place("later", "/table.json")).status == 404
    assert "No board has been made yet" in server.get(place("later")).data.decode()


def test_a_crowd_has_a_board_read_once(server: RunningServer) -> None:
    server.publish("crowd", board_of(3))
    server.wait_for("/competitions.json", '"crowd"')
    files, lists = server.metric(READS % "file"), server.metric(READS % "leaderboards")
    began = datetime.now(UTC)
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: server.get(place("crowd")), range(400)))
    seconds = (datetime.now(UTC) - began).total_seconds()
    assert {answer.status for answer in answers} == {200}
    assert len({answer.data for answer in answers}) == 1
    assert server.metric(READS % "file") - files == 1
    assert server.metric(READS % "leaderboards") - lists <= seconds / 2 + 1
    assert server.metric("alcove_board_server_cached_bytes") > len(answers[0].data)


def test_a_new_board_takes_the_place_of_the_old_one_which_keeps_an_address(server: RunningServer) -> None:
    server.publish("moving", board_of(3, generation=1))
    first = server.wait_for(place("moving"), "Board 1,")
    server.publish("moving", board_of(4, generation=2))
    second = server.wait_for(place("moving"), "Board 2,")
    assert "hackathon-team-03" in second
    assert "hackathon-team-03" not in first
    versions = list(server.store.root.list_objects(
        keys.MAIN_BUCKET, server.key("moving", "leaderboard.html"), include_version=True
    ))  # fmt: skip
    addresses = [place("moving", f"/boards/{found.version_id}") for found in versions]
    assert len(addresses) == 2
    past = {address: server.get(address).data.decode() for address in addresses}
    assert sorted(re.findall(r"Board (\d),", page)[0] for page in past.values()) == ["1", "2"]
    assert all("This is a board as it was" in page for page in past.values())
    listed = server.get(place("moving", "/boards")).data.decode()
    assert all(f'href="{address}"' in listed for address in addresses)
    for wrong in ("0" * 32, "3fa85f64-5717-4562-b3fc-2c963f66afa6", "a%2Fb", "x" * 65):
        assert server.get(place("moving", f"/boards/{wrong}")).status == 404


def test_an_earlier_board_that_the_cluster_never_named_is_neither_listed_nor_shown(
    server: RunningServer,
) -> None:
    """Neither what somebody put into the store, nor the boards of a Competition that had this name before."""
    files = [server.publish("cited", board_of(3, generation=generation)) for generation in (1, 2)]
    key, names = server.key("cited", "leaderboard.html"), []
    put_bytes(server.store.root, keys.MAIN_BUCKET, key, b"<body><main>I was first</main></body>")
    put_bytes(server.store.root, keys.MAIN_BUCKET, key, files[1]["leaderboard.html"])
    for item in server.store.root.list_objects(keys.MAIN_BUCKET, key, include_version=True):
        page = server.store.root.get_object(keys.MAIN_BUCKET, key, version_id=item.version_id)
        names.append((re.findall(rb"Board (\d),|I was first", page.read())[0].decode(), item.version_id))
        page.close()
    assert sorted(name for name, _ in names) == ["", "1", "2", "2"]
    server.wait_for(place("cited"), "Board 2,")
    listed = server.get(place("cited", "/boards")).data.decode()
    for name, version in names:
        address = place("cited", f"/boards/{version}")
        assert (f'href="{address}"' in listed, server.get(address).status) == (
            (True, 200) if name else (False, 404)
        )
    server.publish("cited", board_of(3, generation=1))
    server.wait_for(place("cited"), "Board 1,")
    end = time.monotonic() + 60
    while any(server.get(place("cited", f"/boards/{version}")).status != 404 for _, version in names):
        assert time.monotonic() < end
        time.sleep(0.2)
    server.wait_for(place("cited", "/boards"), "<ol")
    while len(re.findall("<li>", server.get(place("cited", "/boards")).data.decode())) != 1:
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_file_that_the_cluster_does_not_name_is_not_shown(server: RunningServer) -> None:
    """Neither one that somebody put into the store, nor the old one under the new name."""
    server.publish("changed", board_of(3))
    forged = b"<body><main>I am first</main></body>"
    put_bytes(server.store.root, keys.MAIN_BUCKET, server.key("changed", "leaderboard.html"), forged)
    server.wait_for("/competitions.json", '"changed"')
    answer = server.get(place("changed"))
    assert (answer.status, b"I am first" in answer.data) == (503, False)
    assert server.metric('alcove_board_server_failures_total{kind="NotYetWrittenError"}') >= 1


def test_while_a_board_is_being_written_the_one_before_it_is_shown(server: RunningServer) -> None:
    server.publish("slow", board_of(3, generation=1))
    server.wait_for(place("slow"), "Board 1,")
    files = server.publish("slow", board_of(3, generation=2))
    written = files["leaderboard.html"]
    key = server.key("slow", "leaderboard.html")
    put_bytes(server.store.root, keys.MAIN_BUCKET, key, b"half of it")
    while generation_of(server, "slow") != 2:
        assert "Board 1," in server.get(place("slow")).data.decode()
    assert "Board 1," in server.get(place("slow")).data.decode()
    put_bytes(server.store.root, keys.MAIN_BUCKET, key, written)
    server.wait_for(place("slow"), "Board 2,")


def test_a_board_says_what_runs_now_and_a_hidden_one_does_not(server: RunningServer) -> None:
    running = (
        ActiveRun(team="Red <Pandas>", submission="first", dataset="digits", started_at=datetime.now(UTC)),
    )
    activity = PhaseActivity(running=running, waiting=3)
    for phase in ("practice", "final", "later"):
        key = server.key(phase, "activity.json")
        put_bytes(server.store.client("operator"), keys.MAIN_BUCKET, key, activity.canonical())
    page = server.wait_for(place("practice"), "Red &lt;Pandas&gt;")
    assert "<b>1</b> run goes on, <b>3</b> wait." in page
    assert "<b>1</b> run goes on, <b>3</b> wait." in server.get(place("practice", "/all")).data.decode()
    assert "Red &lt;Pandas&gt;" in server.wait_for(place("later"), "Running now")
    assert server.get(place("practice", "/activity.json")).json()["waiting"] == 3
    assert "Red" not in server.get(place("final")).data.decode()
    assert server.get(place("final", "/activity.json")).status == 404
    nothing = PhaseActivity().canonical()
    put_bytes(
        server.store.client("operator"), keys.MAIN_BUCKET, server.key("practice", "activity.json"), nothing
    )
    while "Running now" in server.get(place("practice")).data.decode():
        pass


def test_boards_are_shown_while_the_api_server_is_away(server: RunningServer) -> None:
    shown = server.get(place("practice")).data
    before = list(server.cluster.steps)
    server.cluster.steps[:] = [refusal(500, "InternalError")]
    try:
        asked = len(server.cluster.asked)
        while len(server.cluster.asked) < asked + 2:
            assert server.get(place("practice")).data == shown
        assert server.get(place("practice")).data == shown
    finally:
        server.cluster.steps[:] = before


def test_a_phase_is_shown_from_its_reveal_on(server: RunningServer) -> None:
    """Nothing in the cluster changes at that moment: the server looks at the time."""
    server.publish("soon", board_of(3), revealsAt=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    hidden = server.wait_for(place("soon"), 'id="countdown"')
    assert "<table" not in hidden
    assert json.loads(server.get(place("soon", "/table.json")).data)["revealsAt"]
    at = datetime.now(UTC) + timedelta(seconds=4)
    server.set_rules("soon", revealsAt=at.isoformat())
    shown = server.wait_for(place("soon"), "hackathon-team-00")
    assert datetime.now(UTC) >= at
    assert 'id="countdown"' not in shown
    assert server.get(place("soon", "/table.json")).status == 200


def test_a_board_that_is_hidden_again_is_hidden(server: RunningServer) -> None:
    server.publish("again", board_of(3))
    server.wait_for(place("again"), "hackathon-team-00")
    known = {
        path: server.get(path).headers["ETag"] for path in (place("again"), place("again", "/table.csv"))
    }
    assert all(server.get(path, if_none_match=etag).status == 304 for path, etag in known.items())
    server.publish("again", board_of(3), revealsAt=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    page = server.wait_for(place("again"), 'id="countdown"')
    assert "hackathon-team" not in page
    assert server.get(place("again", "/table.csv")).status == 404
    statuses = [server.get(path, if_none_match=etag).status for path, etag in known.items()]
    assert statuses == [200, 404], "whoever has seen it is not told that it is still the newest"
