"""What answers say by the rules of HTTP, and what is counted of them."""

from __future__ import annotations

import asyncio

import pytest

from alcove_board.metrics import ServerMetrics
from alcove_board.rendered import HTML, Form, render
from alcove_board.source import NotYetWrittenError
from alcove_store.errors import StoreUnavailableError
from tests.unit.board.test_answered import PLACE, Published, Visited

PAGE = render(b"<p>A board.</p>", HTML)


@pytest.mark.parametrize(
    ("accepted", "form"),
    [
        ("", Form.PLAIN),
        ("br", Form.PLAIN),
        ("gzip, deflate, br, zstd", Form.COMPRESSED),
        ("gzip;q=0", Form.PLAIN),
        ("br, gzip ; q=0.000, identity", Form.PLAIN),
        ("br;q=0, gzip;q=0.5", Form.COMPRESSED),
        ("br;q=0, gzip", Form.COMPRESSED),
        ("gzip;q=0.001", Form.COMPRESSED),
    ],
)
def test_gzip_is_sent_to_whoever_takes_it(accepted: str, form: Form) -> None:
    assert PAGE.choose_form("", accepted) == form


@pytest.mark.parametrize("known", ["*", PAGE.etag, f'"other", {PAGE.etag}'])
def test_what_is_known_is_not_sent_again(known: str) -> None:
    assert PAGE.choose_form(known, "gzip") == Form.UNCHANGED
    assert PAGE.choose_form('W/"other"', "gzip") == Form.COMPRESSED


def test_a_method_that_is_not_allowed_is_told_those_that_are() -> None:
    status, headers, _ = asyncio.run(Visited(Published()).ask(PLACE, method="POST"))
    assert status == 405
    assert {method.strip() for method in headers["allow"].split(",")} == {"GET", "HEAD"}


def test_all_that_is_counted_begins_with_0() -> None:
    """Else the first failure is no increase for Prometheus."""
    metrics = ServerMetrics()
    for name, labels in (
        ("failures_total", {"kind": StoreUnavailableError.__name__}),
        ("failures_total", {"kind": NotYetWrittenError.__name__}),
        ("reads_total", {"what": "file"}),
    ):
        assert metrics.registry.get_sample_value(f"alcove_board_server_{name}", labels) == 0
    served = Visited(Published()).metrics.registry
    page = {"address": "/{competition}/{phase}"}
    assert served.get_sample_value("alcove_board_server_requests_total", {**page, "status": "503"}) == 0
    assert served.get_sample_value("alcove_board_server_request_seconds_count", page) == 0
