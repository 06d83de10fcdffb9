"""The pages: a board as the scorer has rendered it, in a frame with what a browser can do beyond a file."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from alcove_api.board_documents import PhaseActivity
from alcove_api.phase_dates import describe_dates, format_time
from alcove_board.live_curves import draw_curves
from alcove_board.published import PublishedPhase, PublishedPhases
from alcove_board.source import PastBoards
from alcove_scorer.pages import ENVIRONMENT, format_number, style_sheet

LEADING_TEAMS = 200
"""That the page of a phase has rows of: with thousands a phone would work on it for seconds, at every new board."""
PROJECTED_TEAMS, PROJECTED_WAITING = 13, 6
"""Teams and waiting runs that have room in a hall. Beside a queue the style sheet shows fewer teams: a row that comes
and goes with the queue must not be marked as one that has moved."""
_ROW = '<tr data-team="'
_PAGES = ENVIRONMENT.overlay(
    loader=jinja2.ChoiceLoader([jinja2.PackageLoader("alcove_board"), ENVIRONMENT.loader])  # type: ignore[list-item]
)
_PAGES.filters = {**ENVIRONMENT.filters, "time": format_time, "number": format_number}


def _file(name: str) -> str:
    return resources.files("alcove_board").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def style() -> bytes:
    return f"{style_sheet()}\n{_file('board.css')}".encode()


@cache
def script() -> bytes:
    return _file("live.js").encode()


@cache
def _versions() -> dict[str, str]:
    """Of style sheet and script: their addresses change when they do, so browsers can keep them."""
    return {
        "style_version": hashlib.sha256(style()).hexdigest()[:12],
        "script_version": hashlib.sha256(script()).hexdigest()[:12],
    }


def _render(template: str, **values: object) -> bytes:
    return _PAGES.get_template(template).render(**_versions(), **values).encode()


def extract_body(page: bytes) -> Markup:
    """What a page of the scorer has between its body's tags: all that anyone wrote is escaped there."""
    return Markup(page.partition(b"<body>")[2].rpartition(b"</body>")[0].decode())


def shorten_table(body: str, most: int) -> tuple[str, int]:
    """``body`` with the leading ``most`` teams of its table, and how many teams it had.

    All that anyone wrote is escaped in it, so that a row's first tag can stand for nothing else.
    """
    top, *rows = body.split(_ROW)
    if len(rows) <= most:
        return body, len(rows)
    rest = rows[-1].partition("</tr>")[2].removeprefix("\n")
    return _ROW.join([top, *rows[:most]]) + rest, len(rows)


def extract_table(body: str) -> str:
    """The first section of ``body``, with what stands before it."""
    start, end, _ = body.partition("</section>")
    return f"{start}{end}</main>" if end else body


def cut_queue(activity: PhaseActivity) -> PhaseActivity:
    """What a hall sees of it: how many runs go on, and who has waited longest."""
    going_on = len(activity.running) + activity.more
    return activity.replace(running=(), more=going_on, queue=activity.queue[:PROJECTED_WAITING])


def index_page(phases: PublishedPhases, now: datetime) -> bytes:
    competitions: dict[str, list[dict[str, object]]] = {}
    for phase in phases.phases.values():
        row = {"phase": phase, "hidden": phase.is_hidden(now), "dates": describe_dates(phase.rules, now)}
        competitions.setdefault(phase.competition, []).append(row)
    missing = len(phases.unreadable)
    return _render("index.html", competitions=competitions, missing=missing, cut=phases.cut)


def board_page(
    phase: PublishedPhase, stored: bytes | None, view: str, activity: PhaseActivity | None = None
) -> bytes:
    """``stored``: what the scorer rendered; None where no board has been made yet.

    Args:
        view: ``board``, ``all`` with every team, ``projector`` or, of an earlier state, ``past``.
        activity: what runs now, where it is to be shown.
    """
    body, teams = str(extract_body(stored)) if stored is not None else "", 0
    if view == "board":
        body, teams = shorten_table(body, LEADING_TEAMS)
    elif view == "projector":
        activity = cut_queue(activity) if activity else None
        body, _ = shorten_table(extract_table(body), PROJECTED_TEAMS)
    now = hashlib.sha256(activity.canonical()).hexdigest()[:12] if activity else ""
    drawn = draw_curves(activity.running, phase.rules.budget_seconds) if activity else ()
    return _render(
        "board.html",
        phase=phase,
        stored=Markup(body),
        leading=LEADING_TEAMS,
        teams=teams,
        view=view,
        activity=activity,
        activity_digest=now,
        drawn=drawn,
    )


def countdown_page(phase: PublishedPhase) -> bytes:
    return _render("countdown.html", phase=phase)


def past_page(phase: PublishedPhase, past: PastBoards) -> bytes:
    return _render("past.html", phase=phase, boards=past.boards, unread=past.unread)


def report_page(stored: bytes) -> bytes:
    return _render("report_frame.html", stored=extract_body(stored))


def message_page(title: str, said: str) -> bytes:
    return _render("message.html", heading=title, said=said)


def index_document(phases: PublishedPhases, now: datetime) -> bytes:
    """``/competitions.json``. Of a phase that is hidden: its rules alone."""
    found = []
    for phase in phases.phases.values():
        hidden = phase.is_hidden(now)
        said: dict[str, object] = {
            "competition": phase.competition,
            "phase": phase.phase,
            "rules": phase.rules.model_dump(mode="json", by_alias=True, exclude_none=True),
            "hidden": hidden,
        }
        if not hidden:
            updated = phase.updated_at.isoformat() if phase.updated_at else None
            said |= {"generation": phase.generation, "teams": phase.teams, "updatedAt": updated}
        found.append(said)
    document = {"phases": found, "unreadable": len(phases.unreadable), "cut": phases.cut}
    return json.dumps(document, indent=1, ensure_ascii=False).encode()


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def table_csv(table: bytes) -> bytes:
    """``table.json`` as a table: of each dataset the ALC, the rank and, where there is no score, why."""
    document: Mapping[str, Any] = json.loads(table)
    entries = document["entries"]
    datasets = [score["dataset"] for score in entries[0]["scores"]] if entries else []
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(
        ["rank", "team", "display_name", "submission", "value", "average_rank", "rank_low", "rank_high"]
        + [f"{name}_{part}" for name in datasets for part in ("alc", "rank", "cause")]
    )
    for entry in entries:
        named = [_plain(entry[name]) for name in ("team", "display_name", "submission")]
        scores = [score[part] for score in entry["scores"] for part in ("alc", "rank", "cause")]
        writer.writerow(
            [entry["rank"], *named, entry["value"], entry["average_rank"], *entry["interval"], *scores]
        )
    return file.getvalue().encode()


def _plain(name: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return f"'{name}" if name.startswith(_FORMULA) else name
