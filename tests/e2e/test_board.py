"""The web server of boards, as the chart installs it: a spectator follows a board that real runs make."""

from __future__ import annotations

import pytest
import urllib3

from tests.demo.hackathon import Hackathon, wait_for
from tests.e2e.conftest import Team
from tests.e2e.models import SCHEDULED

pytestmark = pytest.mark.e2e


def get(hackathon: Hackathon, path: str) -> urllib3.BaseHTTPResponse:
    return urllib3.request("GET", f"{hackathon.board_url()}{path}", timeout=10)


def test_a_spectator_follows_a_board_and_sees_nothing_of_a_blind_phase(
    red: Team, hackathon: Hackathon
) -> None:
    place = f"/{hackathon.name}"
    assert f"{place}/single" in get(hackathon, "/").data.decode()
    red.submit("seen", SCHEDULED)
    red.submit("unseen", SCHEDULED, "blind")
    assert red.until("seen")["phase"] == "Done"

    def shown() -> bool:
        answer = get(hackathon, f"{place}/single/table.json")
        entries = answer.json()["entries"] if answer.status == 200 else []
        return any((entry["team"], entry["submission"]) == (red.namespace, "seen") for entry in entries)

    wait_for("the server showing the new board", shown)
    page = get(hackathon, f"{place}/single").data.decode()
    assert f'data-team="{red.namespace}"' in page
    red.until("unseen")
    hidden = get(hackathon, f"{place}/blind").data.decode()
    assert 'id="countdown"' in hidden
    assert red.namespace not in hidden
    assert get(hackathon, f"{place}/blind/table.json").status == 404
    service = hackathon.get("service", "alcove-board-metrics")["spec"]["clusterIP"]
    counted = urllib3.request("GET", f"http://{service}:9090/metrics").data.decode()
    assert 'alcove_board_server_requests_total{address="/{competition}/{phase}",status="200"}' in counted
