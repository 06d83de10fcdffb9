"""Equal parts of many Submissions are one object in memory, and nothing else about them is another."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from alcove_api.submission import SubmissionStatus
from alcove_kube.client import Object
from alcove_operator.shared_values import share_values

WORDS = st.text("abcdefgh", min_size=1, max_size=8)
RUNS = st.lists(
    st.fixed_dictionaries(
        {"dataset": WORDS, "phase": st.sampled_from(("Running", "Done"))},
        optional={
            "message": WORDS,
            "attempt": st.integers(1, 3),
            "startedAt": st.sampled_from(("2026-12-01T09:00:00Z", "2026-12-01T11:00:00+02:00")),
            "curve": st.just([{"t": 1.0, "score": 0.5}]),
        },
    ),
    max_size=3,
    unique_by=lambda run: run["dataset"],
)
STATUSES = st.fixed_dictionaries({"runs": RUNS}, optional={"phase": st.just("Done"), "place": WORDS})


def read(raw: Object) -> SubmissionStatus:
    """As from the server: no part of it is anybody else's."""
    return SubmissionStatus.model_validate(json.loads(json.dumps(raw)))


@given(STATUSES)
def test_a_model_whose_parts_are_shared_is_what_it_was(raw: Object) -> None:
    shared, own = share_values(read(raw)), read(raw)
    assert shared == own
    assert hash(shared) == hash(own)
    assert shared.model_dump_json(exclude_unset=True) == own.model_dump_json(exclude_unset=True)
    assert shared.replace(place="1/2") == own.replace(place="1/2")
    assert read(raw) == own


def test_equal_parts_are_one_object() -> None:
    raw = {"phase": "Done", "runs": [{"dataset": "d", "phase": "Done", "message": "It has ended well."}]}
    assert read(raw).runs[0].message is not read(raw).runs[0].message
    one, other = share_values(read(raw)), share_values(read(raw))
    assert one.runs[0].message is other.runs[0].message
    assert one.runs[0].model_fields_set is other.runs[0].model_fields_set
    assert one.model_fields_set is other.model_fields_set


def test_they_take_less_than_half_of_the_memory() -> None:
    """Those of a Submission with five runs, as there may be ten thousand of."""
    at = "2026-12-01T09:00:00Z"
    runs = [
        {"dataset": f"d{number}", "phase": "Done", "queuedAt": at, "startedAt": at, "endedAt": at, "alc": 0.5}
        for number in range(5)
    ]
    raw = {"phase": "Done", "runs": runs}

    def measure(make: Callable[[], SubmissionStatus]) -> int:
        before = tracemalloc.get_traced_memory()[0]
        made = [make() for _ in range(100)]
        return (tracemalloc.get_traced_memory()[0] - before) // len(made)

    share_values(read(raw))
    tracemalloc.start()
    try:
        own, shared = measure(lambda: read(raw)), measure(lambda: share_values(read(raw)))
    finally:
        tracemalloc.stop()
    assert shared < own / 2, (shared, own)
