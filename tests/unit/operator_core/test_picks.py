"""What is kept from look to look is what a look at everything would find."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from alcove_operator.core import boards
from alcove_operator.core.model import SubmissionView
from alcove_operator.core.picks import PhasePicks, ViewChanges
from alcove_operator.core.team_totals import EndedTotals, Totals, count_submission
from tests.unit.operator_core.cluster import START
from tests.unit.operator_core.test_boards import DATASET, rules
from tests.unit.operator_core.test_choice import submission

DATASETS = {"ds": DATASET}
TEAMS = frozenset({"red", "blue"})
Step = tuple[str, int, float | None, int | None, str, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(sorted(TEAMS)),
        st.integers(1, 5),
        st.sampled_from([None, 0.1, 0.5, 0.9]),
        st.sampled_from([None, 3, 7]),
        st.sampled_from(["Done", "Running", "ranked", "deleting", "gone"]),
        st.integers(1, 3),
    ),
    max_size=25,
)


def take_step(views: dict[tuple[str, int], SubmissionView], step: Step) -> None:
    """One Submission comes, goes, or is another in what counts, or only in how it is ranked."""
    team, number, alc, marked, what, _ = step
    old = views.get((team, number))
    if what == "gone":
        views.pop((team, number), None)
    elif what == "ranked" and old is not None:
        views[team, number] = replace(old, status=old.status.replace(rank=step[5], counted=True))
    else:
        made = submission(number, alc, marked=marked)
        status = made.status.replace(phase="Running" if what == "Running" else "Done")
        views[team, number] = replace(
            made,
            uid=f"{team}-{number}",
            namespace=team,
            status=status,
            deleting=what == "deleting",
            created_at=START + timedelta(hours=number),
        )


@given(STEPS, st.sampled_from(["last", "best", "chosen"]), st.sampled_from(["stand", "withdraw"]))
def test_what_is_picked_from_look_to_look_is_what_one_look_at_everything_picks(
    steps: list[Step], counts: str, deleted: str
) -> None:
    phase = rules("practice", phase={"counts": counts, "deletedSubmissions": deleted})
    picks, views = PhasePicks(), dict[tuple[str, int], SubmissionView]()
    for place, step in enumerate(steps):
        take_step(views, step)
        if place % step[5]:
            continue
        for _ in picks.renew(phase, list(views.values()), DATASETS, TEAMS):
            pass
        whole = boards.select_ranked(phase, views.values(), (), DATASETS)
        assert sorted(picks.picked(), key=boards.creation_order) == whole


def test_another_spec_and_a_look_that_was_broken_off_begin_anew() -> None:
    picks, views = PhasePicks(), [submission(1, 0.9), submission(2, 0.1)]
    for counts, best in (("last", "n2"), ("best", "n1")):
        of_phase = rules("practice", phase={"counts": counts})
        next(iter(picks.renew(of_phase, views, DATASETS, TEAMS)))
        for _ in picks.renew(of_phase, views, DATASETS, TEAMS):
            pass
        assert [view.name for view in picks.picked()] == [best]


@given(STEPS)
def test_sums_that_are_kept_are_those_of_all_that_has_ended(steps: list[Step]) -> None:
    ended, views = EndedTotals(), dict[tuple[str, int], SubmissionView]()
    for step in steps:
        take_step(views, step)
        came, went = ended.take(views.values())
        ended.add(went, -1, START)
        ended.add(came, 1, START)
        for team in TEAMS:
            mine = [view for view in views.values() if view.team == team and view.status.phase == "Done"]
            whole: Totals = sum((count_submission(view, START) for view in mine), Counter())
            assert ended.of("practice", team) == whole
        assert ended.list_teams("practice") == {v.team for v in views.values() if v.status.phase == "Done"}


def test_what_did_not_change_is_told_once() -> None:
    changes, one, other = ViewChanges(), submission(1, 0.5), submission(2, 0.5)
    assert changes.take([one])[0] == [one]
    assert changes.take([one, other]) == ([other], [])
    newer = replace(one, resource_version="2")
    assert changes.take([newer, other]) == ([newer], [one])
    assert changes.take([other]) == ([], [newer])
