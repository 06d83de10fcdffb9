"""Pages of results in a real browser: they open from a file, ask for nothing, and can be read."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from functools import cache
from math import nan
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alcove_api.score_documents import Feedback, Refusal, ScoredRun
from alcove_scorer.curves import resolve_rules
from alcove_scorer.rank_files import RankOptions, ScoreTable, rank_table
from alcove_scorer.rank_page import rank_html
from tests.demo.picture import SIZE, photograph_page

from . import competition as made
from .conftest import Page

pytestmark = pytest.mark.integration
Visit = Callable[..., Page]
HACKATHON, AUTODL = resolve_rules(made.BUDGET), resolve_rules(made.BUDGET, "autodl")
HOSTILE = (
    "<script>document.title='taken'</script>",
    '"><img src=x onerror="document.title=\'taken\'">',
    "\u202egpj.exe",
    "صورة.npy",
    "{{ 7 * 7 }} $\\frac{1}{2}$ &lt;b&gt; ]]> -->",
    "x" * 5000,
)
TEXTS_OF_PICTURES = """
return [...document.querySelectorAll('svg')].map(svg => [svg, ...svg.querySelectorAll('text')].map(part => {
  const r = part.getBoundingClientRect(); return [part.textContent, r.left, r.top, r.right, r.bottom]; }));
"""


@cache
def page(name: str) -> str:
    kind, _, rest = name.partition(" ")
    if kind == "board":
        teams, datasets, *scheme = rest.split()
        return made.leaderboard(int(teams), int(datasets), *scheme)
    if kind == "ranks":
        return ranks(rest)
    return {
        "full": full_report,
        "many": many_snapshots,
        "one": one_snapshot,
        "none": nothing,
        "autodl": negative,
    }[rest]()


def ranks(name: str) -> str:
    """What ``alcove rank --report`` writes, of 200 participants, or of three with a gap and a bad name."""
    if name == "few":
        table = ScoreTable(
            (HOSTILE[0], HOSTILE[2], "z"), ("a", "b"), np.array([[[0.5], [-1]], [[nan], [0]], [[0], [1]]])
        )
        options = RankOptions(intervals=0)
    else:
        scores = np.random.default_rng(0).random((200, 5, 1))
        table = ScoreTable(tuple(f"team {i}" for i in range(200)), ("a", "b", "c", "d", "e"), scores)
        options = RankOptions("copeland", intervals=100)
    return rank_html("scores.csv", table, rank_table(table, options), options)


def full_report() -> str:
    """Five datasets that ended in five ways, beside thirty teams."""
    refused = [Refusal(seq=i, name=name, reason=name) for i, name in enumerate(HOSTILE)]
    late = [
        Refusal(seq=i, name="late.npy", reason="late: first seen 1200.100 s after the go") for i in range(150)
    ]
    ends: list[tuple[ScoredRun, str, str, str]] = [
        (made.scored("table", made.learner(0.8, 0, 1, np.geomspace(2, 1100, 24), HACKATHON)), "Finished", "", ""),
        (made.scored("speech", made.learner(0.8, 1, 1, (), HACKATHON)), "NoPredictions", "", ""),
        (made.scored("images", made.learner(0.8, 2, 1, (), HACKATHON), "OutOfMemory", refused), "OutOfMemory",
         f"It used more memory than a run has. Last output:\n{HOSTILE[0]}", "Participant"),
        (made.scored("clips", made.learner(0.6, 3, 1, (700,), HACKATHON), "ExitCode", late), "ExitCode",
         f"It ended with exit status 1. {HOSTILE[1]}", "Participant"),
        (made.scored("series", made.learner(0.7, 4, 1, np.linspace(2, 1190, 300), HACKATHON)), "Finished", "", ""),
    ]  # fmt: skip
    runs = [run for run, *_ in ends]
    verdicts = [
        made.verdict(run.alias, i, cause, message, payer)
        for i, (run, cause, message, payer) in enumerate(ends)
    ]
    return made.report(runs, verdicts, HACKATHON, peers=made.competition(30, 5))


def many_snapshots() -> str:
    run = made.scored("table", made.learner(0.7, 0, 1, np.linspace(2, 1190, 300), HACKATHON))
    return made.report([run], [made.verdict("table", 0)], HACKATHON, feedback=Feedback(max_snapshots=1000))


def one_snapshot() -> str:
    run = made.scored("table", made.learner(0.7, 0, 1, (30,), HACKATHON))
    return made.report([run], [made.verdict("table", 0)], HACKATHON)


def nothing() -> str:
    return made.report([made.scored("table", made.learner(0, 0, 1, (), HACKATHON))], [None], HACKATHON)


def negative() -> str:
    moments = (3, 20, 60, 400, 900)
    runs = [
        made.scored(alias, made.learner(skill, i, i, moments, AUTODL))
        for i, (alias, skill) in enumerate((("table", -0.9), ("speech", 0.9)))
    ]
    return made.report(runs, [None, None], AUTODL, peers=made.competition(12, 2, "autodl"))


PAGES = [
    "board 0 1", "board 1 1", "board 1 5", "board 3 1", "board 3 5", "board 20 1", "board 20 5", "board 200 5",
    "board 12 5 autodl", "board 30 2 long", "report full", "report many", "report one", "report none", "report autodl",
    "ranks many", "ranks few",
]  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_from_a_file_and_can_be_read_at_any_width(visit: Visit, name: str) -> None:
    for width, scheme in ((1200, "light"), (400, "dark")):
        opened = visit(page(name), width, scheme)
        assert opened.console == []
        assert opened.requests == []
        assert opened.run("return document.documentElement.scrollWidth") <= width
        for box in opened.run(
            "return [...document.querySelectorAll('svg')].map(s => { const r = s.getBoundingClientRect();"
            " return [r.width, r.height, getComputedStyle(s).visibility]; })"
        ):
            assert box[0] > 200
            assert box[1] > 30
            assert box[2] == "visible"
        described = opened.run(
            "return [...document.querySelectorAll('svg')].map(s => s.getAttribute('aria-labelledby').split(' ')"
            ".map(id => document.getElementById(id).textContent))"
        )
        assert all(title and description for title, description in described)
        assert_apart(opened.run(TEXTS_OF_PICTURES))
    pictures = page(name).count("<svg")
    assert pictures == 0 if name == "board 0 1" else pictures > 0


@pytest.mark.parametrize("name", ["board 20 5", "ranks many"])
def test_from_a_tablet_on_every_picture_fits_its_place(visit: Visit, name: str) -> None:
    """With two pictures of how sure the ranks are, as with three."""
    wider = (
        "return [...document.querySelectorAll('figure .wide')].filter(e => e.scrollWidth > e.clientWidth)"
        ".map(e => e.getAttribute('aria-label'))"
    )
    for width in (768, 1000, 1088):
        opened = visit(page(name), width, "light")
        assert opened.run(wider) == [], width
        opened.run(
            "document.querySelectorAll('.grid.pair figure:not(.span)').forEach((f, i) => i && f.remove())"
        )
        assert opened.run(wider) == [], width


def assert_apart(pictures: Sequence[Sequence[Sequence[float]]]) -> None:
    """No two labels of a picture lie on each other, and none is cut off at its edge."""
    for (_, *edge), *texts in pictures:
        for said, left, top, right, bottom in texts:
            inside = (
                left >= edge[0] - 2 and top >= edge[1] - 2 and right <= edge[2] + 2 and bottom <= edge[3] + 2
            )
            assert inside, f"{said!r} is cut off"
        for i, (one, left, top, right, bottom) in enumerate(texts):
            for other, left2, top2, right2, bottom2 in texts[:i]:
                # A box holds more than the letters: its margin may be shared.
                over = min(right, right2) - max(left, left2) > 1
                level = min(bottom, bottom2) - max(top, top2) > 0.3 * (bottom - top)
                assert not (over and level), f"{one!r} lies on {other!r}"


def test_hostile_names_and_messages_are_text(visit: Visit) -> None:
    opened = visit(page("report full"))
    assert opened.run("return document.title") != "taken"
    assert opened.run("return document.querySelectorAll('script, img, iframe, form').length") == 0
    said = re.sub(r"\s+", " ", opened.text)
    for name in (*HOSTILE[:2], "\N{REPLACEMENT CHARACTER}gpj.exe", *HOSTILE[3:-1]):
        assert said.count(name) >= 2
    assert "x" * 299 + "…" in said
    assert "x" * 300 not in said
    assert f"Last output: {HOSTILE[0]}" in said
    assert "50 more were refused" in said


def test_a_dark_environment_gets_a_dark_page_with_the_pictures_in_its_colours(visit: Visit) -> None:
    def colours(scheme: str) -> dict[str, str]:
        return dict(
            visit(page("report one"), 1200, scheme).run(
                "const style = (q) => getComputedStyle(document.querySelector(q));"
                "return {page: style('body').backgroundColor, text: style('body').color,"
                " label: style('svg text').fill, card: style('.card').backgroundColor};"
            )
        )

    light, dark = colours("light"), colours("dark")
    assert all(light[part] != dark[part] for part in light)

    def brightness(colour: str) -> int:
        return sum(int(part) for part in re.findall(r"\d+", colour)[:3])

    assert brightness(light["page"]) > brightness(light["text"])
    assert brightness(dark["page"]) < brightness(dark["text"])


def test_a_board_of_two_thousand_teams_is_a_page_of_bearable_size(visit: Visit) -> None:
    html = page("board 2000 10")
    assert len(html.encode()) < 2 << 20
    opened = visit(html)
    assert opened.console == []
    assert opened.run("return document.querySelector('table').rows.length") == 2001
    assert "The leading 50 of 2000 teams are drawn." in opened.text
    assert "The leading 30 of 2000 teams are drawn; the difference is for all 2000." in opened.text
    assert_apart(opened.run(TEXTS_OF_PICTURES))


def test_the_browser_would_say_what_a_page_asks_for(visit: Visit) -> None:
    """Without this, a silent browser would pass all the others."""
    opened = visit("<img src='http://192.0.2.1/x.png'><script>console.error('heard')</script><p>{{")
    assert opened.requests == ["http://192.0.2.1/x.png"]
    assert any("heard" in line for line in opened.console)


def test_the_picture_of_readme_is_the_top_of_a_page(tmp_path: Path) -> None:
    (tmp_path / "board.html").write_text(page("board 3 6"))
    with Image.open(io.BytesIO(photograph_page(tmp_path / "board.html"))) as image:
        assert image.size == SIZE
        assert len(image.convert("RGB").getcolors(1 << 20) or ()) > 20
