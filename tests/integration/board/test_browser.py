"""The pages as people meet them: in a real Chromium, by eye, keyboard and screen reader, with scripts and without."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alcove_api import keys
from alcove_api.board_documents import ActiveRun, PhaseActivity, WaitingRun
from alcove_api.score_documents import CurvePoint
from alcove_board.pages import LEADING_TEAMS, PROJECTED_TEAMS, PROJECTED_WAITING
from alcove_store.client import put_bytes
from tests.integration.pages import test_pages as made_pages

from .browser import Browser, chromium
from .conftest import COMPETITION, RunningServer, board_of
from .test_access import signed, version_of

pytestmark = [
    pytest.mark.integration,
    # What a browser shows does not hang on the store: test_access and test_live try both.
    pytest.mark.parametrize("set_up_store", ["seaweedfs"], indirect=True, scope="module"),
]
PLACE = f"/{COMPETITION}/practice"
PAPER = 718
"""CSS pixels between the margins of A4."""
PAGES = {
    "the first page": "/",
    "a board": PLACE,
    "a board of many teams": f"/{COMPETITION}/large",
    "all of many teams": f"/{COMPETITION}/large/all",
    "the projector's view": f"{PLACE}/projector",
    "the projector's view of many teams": f"/{COMPETITION}/large/projector",
    "earlier boards": f"{PLACE}/boards",
    "an earlier board": f"{PLACE}/boards/{{version}}",
    "no board yet": f"/{COMPETITION}/later",
    "a hidden phase": f"/{COMPETITION}/final",
    "no such page": "/nothing/there",
    "a report": "/-/reports/team-a/uid-page",
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.fixture(scope="module")
def site(server: RunningServer) -> RunningServer:
    server.publish("large", board_of(LEADING_TEAMS + 50, 6))
    page = made_pages.page("report full").encode()
    put_bytes(server.store.client("operator"), keys.MAIN_BUCKET, keys.team_report("team-a", "uid-page"), page)
    run = ActiveRun(team="red", submission="first", dataset="table", started_at=datetime.now(UTC))
    curve = (CurvePoint(t=1.5, score=0.25), CurvePoint(t=20.0, score=0.5))
    activity = PhaseActivity(running=(run.replace(curve=curve), run), waiting=2).canonical()
    put_bytes(
        server.store.client("operator"), keys.MAIN_BUCKET, server.key("practice", "activity.json"), activity
    )
    server.wait_for("/competitions.json", '"large"')
    server.wait_for(PLACE, "<polyline")
    waits = tuple(
        WaitingRun(team=f"{n} " + 20 * "long", submission="first", dataset="table") for n in range(30)
    )
    queued = PhaseActivity(running=(run,), waiting=40, queue=waits).canonical()
    put_bytes(server.store.client("operator"), keys.MAIN_BUCKET, server.key("large", "activity.json"), queued)
    server.wait_for(f"/{COMPETITION}/large/projector", "34 more wait")
    return server


def url(site: RunningServer, name: str) -> str:
    path = PAGES[name].format(version=version_of(site, "practice"))
    query = signed(site, "team-a", "team-a", "uid-page") if name == "a report" else ""
    return f"http://127.0.0.1:{site.port}{path}{query}"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_barriers_and_asks_only_its_own_server(
    browser: Browser, site: RunningServer, name: str
) -> None:
    for width, scheme in ((1280, "light"), (390, "dark")):
        browser.open(url(site, name), width, scheme)
        assert browser.find_barriers() == [], (width, scheme)
        assert browser.run("return document.documentElement.scrollWidth") <= width
        complaints = [said for said in browser.complaints if "404" not in said]
        assert complaints == []
        origin = f"http://127.0.0.1:{site.port}/"
        assert all(asked.startswith((origin, "data:")) for asked in browser.requests)


@pytest.mark.parametrize("teams", [3, 50, 2000])
def test_boards_of_few_and_of_many_teams_fit_every_screen(
    browser: Browser, site: RunningServer, teams: int, tmp_path: Path
) -> None:
    """Leaves a picture of each in ``tmp_path``, for whoever has changed the pages."""
    place = f"/{COMPETITION}/of-{teams}"
    site.publish(f"of-{teams}", board_of(teams))
    site.wait_for(place, "Board 1,")
    for view, most in (("", LEADING_TEAMS), ("/all", teams), ("/projector", PROJECTED_TEAMS)):
        for width in (1280, 768, 390):
            browser.open(f"http://127.0.0.1:{site.port}{place}{view}", width)
            browser.driver.save_screenshot(
                str(tmp_path / f"{teams}-{view.strip('/') or 'board'}-{width}.png")
            )
            assert count_shown(browser, "tr[data-team]") == min(teams, most)
            assert browser.run("return document.documentElement.scrollWidth") <= width
            assert browser.complaints == []
            link = f"return [...document.querySelectorAll('a')].some(a => a.textContent === 'All {teams}')"
            assert browser.run(link) == (view == "" and teams > LEADING_TEAMS)
            if view == "/projector":
                assert_nothing_cut(browser)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_the_same_without_scripts(browser: Browser, site: RunningServer, name: str) -> None:
    said = []
    for scripts in (True, False):
        browser.open(url(site, name), scripts=scripts)
        text = browser.tell("Runtime.evaluate", {"expression": "document.querySelector('main').innerText"})
        said.append(str(text["result"].get("value", "")).partition("\nThe countdown")[0])
    browser.open(url(site, name))
    if name == "a hidden phase":
        said = [text.splitlines()[0] for text in said]
    assert said[0] == said[1] != ""


def test_a_new_board_comes_without_a_reload_and_marks_who_moved(
    browser: Browser, site: RunningServer
) -> None:
    first = board_of(6, generation=1)
    site.publish("live", first)
    site.wait_for(f"/{COMPETITION}/live", "Board 1,")
    browser.open(f"http://127.0.0.1:{site.port}/{COMPETITION}/live", 390)
    browser.run("window.here = 1; const r = document.querySelector('.wide'); r.focus(); r.scrollLeft = 40;")
    site.publish("live", board_of(9, generation=2))
    end = time.monotonic() + 60
    while "Board 2," not in browser.run("return document.body.innerText"):
        assert time.monotonic() < end, browser.run("return document.body.innerText")[:500]
        time.sleep(0.2)
    assert browser.run("return window.here") == 1, "the page was loaded again"
    assert browser.run("return document.activeElement.className").startswith("wide")
    assert browser.run("return document.querySelector('.wide').scrollLeft") == 40
    before = [row.submission.team for row in first.rows]
    after = [row.submission.team for row in board_of(9, generation=2).rows]
    moved = [team for team in after if team in before and after.index(team) != before.index(team)]
    came = [team for team in after if team not in before]
    marked = browser.run(
        "return [...document.querySelectorAll('tr.up, tr.down')].map(row => row.dataset.team)"
    )
    assert marked == [team for team in after if team in moved or team in came]
    climbed = browser.run("return [...document.querySelectorAll('tr.up')].map(row => row.dataset.team)")
    assert set(came) <= set(climbed)
    assert browser.run("return document.getElementById('news').textContent") == (
        f"New board: {len(moved)} moved, {len(came)} new."
    )
    assert browser.find_barriers() == []


def test_a_page_that_was_hidden_shows_the_board_once_it_is_revealed(
    browser: Browser, site: RunningServer
) -> None:
    site.publish("reveal", board_of(3), revealsAt=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    site.wait_for(f"/{COMPETITION}/reveal", 'id="countdown"')
    at = datetime.now(UTC) + timedelta(seconds=20)
    site.set_rules("reveal", revealsAt=at.isoformat())
    site.wait_for(f"/{COMPETITION}/reveal", at.isoformat()[:19])
    browser.open(f"http://127.0.0.1:{site.port}/{COMPETITION}/reveal")
    assert browser.run("return document.getElementById('countdown').textContent").startswith("00:00:")
    end = time.monotonic() + 60
    while not browser.run("return document.querySelectorAll('tr[data-team]').length"):
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.mark.parametrize("ahead", [0, 7200])
def test_a_page_that_was_hidden_learns_of_an_earlier_reveal_and_not_from_its_own_clock(
    browser: Browser, site: RunningServer, ahead: int
) -> None:
    phase = f"moved-{ahead}"
    site.publish(phase, board_of(3), revealsAt=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    site.wait_for(f"/{COMPETITION}/{phase}", 'id="countdown"')
    # The visitor's clock runs ahead by this, and a page's pauses are a twentieth of what they are.
    source = (
        f"const now = Date.now, later = setTimeout; Date.now = () => now() + {ahead * 1000};"
        "window.setTimeout = (work, wait) => later(work, wait / 20);"
    )
    changed = browser.tell("Page.addScriptToEvaluateOnNewDocument", {"source": source})
    try:
        browser.open(f"http://127.0.0.1:{site.port}/{COMPETITION}/{phase}")
        browser.run("window.here = 1")
        assert (browser.run("return document.getElementById('countdown').textContent") == "00:00:00") == bool(
            ahead
        )
        end, looks = time.monotonic() + 60, 0
        while looks < 4:
            looks += sum(asked.endswith(phase) for asked in browser.requests)
            assert time.monotonic() < end
            time.sleep(0.2)
        assert browser.run("return window.here") == 1, "the page was loaded again though nothing is new"
        site.set_rules(phase, revealsAt=(datetime.now(UTC) - timedelta(seconds=1)).isoformat())
        while not browser.run("return document.querySelectorAll('tr[data-team]').length"):
            assert time.monotonic() < end, "nobody told the page"
            time.sleep(0.2)
    finally:
        browser.tell("Page.removeScriptToEvaluateOnNewDocument", changed)


def test_the_keyboard_reaches_every_link_and_every_table(browser: Browser, site: RunningServer) -> None:
    browser.open(url(site, "a board"))
    wanted = browser.run("return [...document.querySelectorAll('a, [tabindex], summary')].length")
    reached = set()
    place = "return [...document.querySelectorAll('a, [tabindex], summary')].indexOf(document.activeElement)"
    key = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
    for _ in range(wanted + 5):
        for kind in ("keyDown", "keyUp"):
            browser.tell("Input.dispatchKeyEvent", {"type": kind, **key})
        reached.add(browser.run(place))
    assert reached - {-1} == set(range(wanted))


def test_on_paper_there_is_the_whole_table_and_nothing_to_click(
    browser: Browser, site: RunningServer
) -> None:
    browser.open(url(site, "all of many teams"), PAPER)
    browser.tell("Emulation.setEmulatedMedia", {"media": "print"})
    shown = browser.run(
        "const region = document.querySelector('.wide');"
        "return [getComputedStyle(document.querySelector('nav')).display,"
        " region.scrollHeight <= region.clientHeight + 1, getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(region.closest('.card')).breakInside];"
    )
    assert shown == ["none", True, "rgba(0, 0, 0, 0)", "auto"], "a table begins below its heading"
    lines = browser.run(
        "return [...document.querySelectorAll('.name.team')].map((cell) =>"
        " cell.offsetHeight / parseFloat(getComputedStyle(cell).lineHeight))"
    )
    assert max(lines) < 3, "a name is not broken into letters"


@pytest.mark.parametrize("width", [1280, 1920])
def test_in_a_hall_the_table_is_large_and_fills_the_screen(
    browser: Browser, site: RunningServer, width: int, tmp_path: Path
) -> None:
    browser.open(f"http://127.0.0.1:{site.port}/{COMPETITION}/large/projector", width)
    browser.driver.save_screenshot(str(tmp_path / f"queue-{width}.png"))
    assert (
        browser.run("return parseFloat(getComputedStyle(document.querySelector('td.team')).fontSize)") >= 20
    )
    assert browser.run("return document.documentElement.scrollHeight") <= 900
    assert_nothing_cut(browser)
    assert count_shown(browser, "tr[data-team]") >= 10
    # The queue, under the table: how many wait, the first of them, and how many more.
    assert count_shown(browser, ".queue li") == PROJECTED_WAITING
    assert browser.run("return parseFloat(getComputedStyle(document.querySelector('.queue')).fontSize)") >= 20


def count_shown(browser: Browser, selector: str) -> int:
    found = "return [...document.querySelectorAll(arguments[0])].filter(part => part.offsetHeight > 0).length"
    return int(browser.run(found, selector))


def assert_nothing_cut(browser: Browser) -> None:
    """Of the table to the right, where nobody in a hall could scroll to."""
    cut = "const table = document.querySelector('.wide'); return table.scrollWidth - table.clientWidth"
    assert browser.run(cut) <= 0


@pytest.mark.parametrize("width", [390, 768])
def test_in_a_hand_the_projectors_view_has_ranks_and_whole_names(
    browser: Browser, site: RunningServer, width: int, tmp_path: Path
) -> None:
    browser.open(f"http://127.0.0.1:{site.port}/{COMPETITION}/large/projector", width)
    browser.driver.save_screenshot(str(tmp_path / f"queue-{width}.png"))
    assert_nothing_cut(browser)
    heads = browser.run("return [...document.querySelectorAll('th')].filter(h => h.offsetWidth).length")
    assert heads == 3, "rank, team, mean rank"
    narrowest = browser.run("return document.querySelector('td.team').offsetWidth")
    assert narrowest >= 9 * 16
    assert browser.run("return document.querySelector('.queue').getBoundingClientRect().right") <= width
    assert count_shown(browser, ".queue li") == PROJECTED_WAITING
