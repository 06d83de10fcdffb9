"""What shown scores give away, held against decoders that read hidden labels from them.

The scores are those of the scorer itself: RunScorer, the part that is shown, rounding and thinning.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcove_api.competition import Limits
from alcove_api.feedback import compute_disclosed_bits
from alcove_api.phase import PhaseFeedback
from alcove_api.score_documents import CurvePoint, Feedback, ScoredRun, Scoring
from alcove_scorer.curves import Point, resolve_rules
from alcove_scorer.disclosure import limit_curve, limit_run
from alcove_scorer.row_choice import RowChoice, choose_rows, order_shown_rows
from alcove_scorer.scoring import RunScorer, Snapshot

Labels = npt.NDArray[np.bool_]
Query = npt.NDArray[np.bool_]
OLD = PhaseFeedback(decimals=4, test_fraction=1.0, max_snapshots=32)
NEW = PhaseFeedback()
SHA256 = "5a" * 32


def shown_rows(solution: Labels, fraction: float) -> npt.NDArray[np.int64] | None:
    order = order_shown_rows(SHA256, 0, solution, fraction)
    return None if order is None else np.sort(order)


def show_run(labels: Labels, queries: Sequence[Query], feedback: PhaseFeedback) -> tuple[float, ...]:
    """All numbers that a team sees of a run with these predictions: the points, then ALC and final score."""
    solution = labels[:, None]
    rules = resolve_rules(1000.0)
    scorer = RunScorer(rules, solution, RowChoice(shown_rows(solution, feedback.test_fraction), None))
    # Spread over the time axis as the rule for what is shown wants it, so that all are shown.
    for number, query in enumerate(queries):
        buffer = io.BytesIO()
        np.save(buffer, query[:, None])
        data = buffer.getvalue()
        at = math.expm1(math.log1p(1000.0) * (number + 1) / (len(queries) + 1))
        scorer.add(number, "a.npy", at, Snapshot("npy", len(data), [data]))
    outcome = scorer.outcome()
    points = scorer.preview_points if outcome.preview_points is None else outcome.preview_points
    seen = limit_curve(points, rules, feedback.decimals, feedback.max_snapshots).points
    assert outcome.alc is not None
    assert outcome.final_score is not None
    whole = (outcome.alc, outcome.final_score)
    return (*(p.score for p in seen), *(round(score, feedback.decimals) for score in whole))


def weighings(k: int) -> tuple[list[Query], Callable[[Sequence[int]], Labels]]:
    """2^k − 1 sets of k·2^(k−1) things, and how to read each thing, 0 or 1, from the sums over the sets.

    Lindström, On a combinatorial detection problem (1965). Things belong to the non-empty sets ``a`` of k bits, |a| to
    each; the alternating sum over the subsets of ``a`` has them as its binary digits.
    """
    places = [(a, digit) for a in range(1, 2**k) for digit in range(a.bit_count())]
    sets = np.zeros((2**k, len(places)), np.bool_)
    for column, (a, digit) in enumerate(places):
        odd = [b for b in range(1, 2**k) if b & ~a == 0 and b.bit_count() % 2 == 1]
        chosen = set(odd[: 2**digit])
        sets[:, column] = [(b & a) in chosen for b in range(2**k)]

    def read(sums: Sequence[int]) -> Labels:
        found = np.zeros(len(places), np.int64)
        for a in sorted(range(1, 2**k), key=int.bit_count, reverse=True):
            subsets = [b for b in range(1, 2**k) if b & ~a == 0]
            signs = {b: 1 if b.bit_count() % 2 else -1 for b in subsets}
            left = sum(signs[b] * (sums[b - 1] - int(sets[b] @ found)) for b in subsets)
            for column, (owner, digit) in enumerate(places):
                if owner == a:
                    found[column] = (left >> digit) & 1
        return found.astype(np.bool_)

    return list(sets[1:]), read


def decode_run(labels: Labels, feedback: PhaseFeedback, k: int, rows: npt.NDArray[np.int64]) -> Labels:
    """What a team would say the labels of ``rows`` are after one run, if only these rows were scored.

    The first snapshot finds out how many labels there are of each kind.
    """
    queries, read = weighings(k)
    first = np.zeros(len(rows), np.bool_)
    first[0] = True
    asked = np.zeros((1 + len(queries), len(labels)), np.bool_)
    asked[:, rows] = [first, *(np.append(q, np.zeros(len(rows) - len(q), np.bool_)) for q in queries)]
    scores = show_run(labels, list(asked), feedback)
    n = len(rows)
    gain = 2 * scores[0] - 1
    ones = max(1, min(n - 1, round(1 / gain if gain > 0 else n + 1 / gain))) if gain else n // 2
    sums = [
        round((2 * score - 1 + query.sum() / (n - ones)) / (1 / ones + 1 / (n - ones)))
        for score, query in zip(scores[1:-2], queries, strict=False)
    ]
    return read([*sums, *(int(query.sum()) // 2 for query in queries[len(sums) :])])


def balanced(seed: int) -> Labels:
    return np.random.default_rng(seed).permutation(np.arange(80) % 2 == 0)


@pytest.mark.parametrize("seed", range(5))
def test_one_run_read_all_labels_where_the_whole_test_set_was_shown_to_four_decimals(seed: int) -> None:
    labels = balanced(seed)
    assert (decode_run(labels, OLD, 5, np.arange(80)) == labels).all()
    assert compute_disclosed_bits(OLD.decimals, OLD.max_snapshots, 1).run >= 80


def test_the_same_decoder_reads_no_more_than_chance_from_the_defaults() -> None:
    right = [int((decode_run(balanced(i), NEW, 5, np.arange(80)) == balanced(i)).sum()) for i in range(30)]
    # 2400 guesses: five standard deviations.
    assert sum(right) / 2400 < 0.5 + 5 * 0.5 / math.sqrt(2400)


def test_a_decoder_that_knows_which_rows_are_shown_reads_no_more_than_is_computed() -> None:
    labels = np.random.default_rng(0).permutation(np.arange(110) % 2 == 0)
    rows = shown_rows(labels[:, None], NEW.test_fraction)
    assert rows is not None
    read = decode_run(labels, NEW, 4, rows)
    assert (read == labels[rows][: len(read)]).all()
    assert 32 == len(read) <= compute_disclosed_bits(NEW.decimals, NEW.max_snapshots, 1).run


@settings(max_examples=5, deadline=None)
@given(
    st.integers(0, 1),
    st.integers(1, 3),
    st.sampled_from([0.5, 1.0]),
    st.lists(st.lists(st.booleans(), min_size=8, max_size=8), min_size=4, max_size=4),
)
def test_no_decoder_learns_more_from_a_run_than_is_computed(
    decimals: int, most: int, fraction: float, asked: list[list[bool]]
) -> None:
    """The best decoder there can be tells two labellings apart if, and only if, they give other numbers."""
    feedback = PhaseFeedback(decimals=decimals, max_snapshots=most, test_fraction=fraction)
    queries = [np.array(query) for query in asked]
    answers = {
        show_run(np.array([bool(word >> i & 1) for i in range(8)]), queries, feedback)
        for word in range(1, 255)
    }
    learnt = math.log2(len(answers))
    assert learnt <= compute_disclosed_bits(decimals, most, 1).run


TIMES = st.lists(st.integers(1, 1000), max_size=20).map(sorted)
"""Of predictions; with few values, so that some come at the same time."""


@given(st.integers(1, 8), TIMES, TIMES)
def test_two_attempts_of_a_run_together_show_no_more_scores_than_one_may(
    most: int, lost: list[int], scored: list[int]
) -> None:
    """The first is shown live until it is lost, the second at the end. Of predictions at the same time the curve has
    the last, but each was seen before the next came."""
    rules, seen, shown_before = resolve_rules(1000.0), set[int](), 0
    first = [Point(i, at, 0.5) for i, at in enumerate(lost)]
    for end in range(len(first) + 1):
        live = limit_curve(first[:end], rules, 3, most)
        seen |= {point.number for point in live.points}
        shown_before = live.chosen
    assert len(seen) <= shown_before <= most
    run = ScoredRun(
        alias="a", dataset="a", attempt=2, cause="Finished", alc=0.5, final_score=0.5, snapshots=1, refused=(),
        points=tuple(CurvePoint(t=at, score=0.5) for at in scored), manifest_sha256=None,
        points_shown_before=shown_before,
    )  # fmt: skip
    assert len(seen) + len(limit_run(run, rules, 3, most)) <= most


@pytest.mark.parametrize("decimals", [1, 3])
def test_two_submissions_learn_no_more_than_is_computed_for_a_team(decimals: int) -> None:
    """The second one's questions depend on what the first was shown."""
    feedback = PhaseFeedback(decimals=decimals, max_snapshots=1, test_fraction=1.0)
    answers = set()
    for word in range(1, 2**8 - 1):
        labels = np.array([bool(word >> i & 1) for i in range(8)])
        first = show_run(labels, [np.arange(8) < 4], feedback)
        again = np.random.default_rng(int(first[0] * 1000)).random(8) < 0.5
        answers.add((first, show_run(labels, [again], feedback)))
    assert 1 < math.log2(len(answers)) <= compute_disclosed_bits(decimals, 1, 2).team


def test_the_defaults_give_away_less_than_half_of_what_the_old_ones_did() -> None:
    old = compute_disclosed_bits(OLD.decimals, OLD.max_snapshots, Limits().total)
    new = compute_disclosed_bits(NEW.decimals, NEW.max_snapshots, Limits().total)
    assert (round(old.snapshot, 1), round(new.snapshot, 1)) == (13.3, 10.0)
    assert new.run < old.run / 2
    assert new.team == pytest.approx(100 * new.run)
    assert (NEW.decimals <= 3, NEW.max_snapshots <= 16, NEW.test_fraction <= 0.3) == (True, True, True)


@pytest.mark.parametrize(("sizes", "fraction"), [((40, 40), 0.3), ((70, 10), 0.3), ((33, 20, 27), 0.1)])
def test_the_part_that_is_shown_keeps_the_share_of_each_class(
    sizes: tuple[int, ...], fraction: float
) -> None:
    kinds = np.random.default_rng(1).permutation(np.repeat(np.arange(len(sizes)), sizes))
    solution = kinds[:, None] == np.arange(len(sizes))
    rows = shown_rows(solution, fraction)
    assert rows is not None
    assert len(rows) <= fraction * len(solution)
    for taken, size in zip(solution[rows].sum(axis=0), sizes, strict=True):
        assert abs(taken - fraction * size) <= 1


@given(
    st.integers(2, 4).flatmap(
        lambda labels: st.lists(
            st.lists(st.booleans(), min_size=labels, max_size=labels), min_size=4, max_size=60
        )
    ),
    st.floats(0.05, 1),
    st.integers(0, 5),
)
def test_no_row_that_is_shown_ranks_unless_asked_for(
    rows: list[list[bool]], fraction: float, seed: int
) -> None:
    solution = np.array(rows)
    feedback = Feedback(test_fraction=fraction)
    found = choose_rows(SHA256, solution, feedback, Scoring(ranked_rows="rest", seed=seed))
    asked = choose_rows(SHA256, solution, feedback, Scoring(ranked_rows="all", seed=seed))
    assert asked.ranked is None
    assert str(found.shown) == str(asked.shown)
    if found.ranked is not None:
        assert found.shown is not None
        assert sorted([*found.shown, *found.ranked]) == list(range(len(solution)))
        mean = solution[found.ranked].mean(axis=0)
        assert (
            ((mean > 0) & (mean < 1)) == ((solution.mean(axis=0) > 0) & (solution.mean(axis=0) < 1))
        ).all()
    elif found.shown is not None:
        rest = np.delete(solution, found.shown, axis=0)
        assert len(rest) == 0 or any(
            0 < column.sum() < len(solution) and part.sum() in (0, len(rest))
            for column, part in zip(solution.T, rest.T, strict=True)
        )


def test_the_organizers_seed_chooses_other_rows() -> None:
    solution = balanced(0)[:, None]
    scoring = [Scoring(seed=seed) for seed in range(5)]
    chosen = {
        str(choose_rows(SHA256, solution, Feedback(test_fraction=0.3), asked).shown) for asked in scoring
    }
    assert len(chosen) == 5
