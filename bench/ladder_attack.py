"""Random votes against a leaderboard: what they show, and what they are worth.

    python -m bench.ladder_attack

Prints a table in Markdown. The scores are those of the scorer itself.
"""

from __future__ import annotations

import io
import sys

import numpy as np
import numpy.typing as npt

from alcove_api.score_documents import Feedback, Scoring
from alcove_scorer.curves import resolve_rules
from alcove_scorer.ladder import LadderState, LadderStep, raise_best
from alcove_scorer.row_choice import choose_rows
from alcove_scorer.scoring import RunScorer, Snapshot

Labels = npt.NDArray[np.bool_]
SHA256 = "5a" * 32
EXAMPLES = 4000
SUBMISSIONS = 200
LIVE = Feedback(mode="live", decimals=3, test_fraction=0.3)
STEP = Feedback(mode="ladder", decimals=3, test_fraction=0.3, step=0.02)
FREE = Feedback(mode="ladder", decimals=3, test_fraction=0.3)


class Team:
    """Submits runs of one prediction each; what it is shown comes from the scorer itself."""

    def __init__(self, labels: Labels, feedback: Feedback) -> None:
        self.solution, self.feedback = labels[:, None], feedback
        self.rows = choose_rows(SHA256, self.solution, feedback, Scoring(ranked_rows="rest"))
        self.best: LadderState | None = None

    def submit(self, votes: Labels) -> tuple[float, float]:
        """What the team is shown, and what the run is worth on the rows that rank."""
        buffer = io.BytesIO()
        np.save(buffer, votes[:, None])
        # Steps and a prediction at the go: ALC is the prediction's score.
        scorer = RunScorer(resolve_rules(60.0, curve="step"), self.solution, self.rows)
        scorer.add(0, "0.npy", 0.0, Snapshot("npy", buffer.tell(), [buffer.getvalue()]))
        outcome = scorer.outcome()
        assert outcome.alc is not None
        score, groups = scorer.ladder_scores()
        if self.feedback.mode != "ladder":
            return round(score, self.feedback.decimals), outcome.alc
        rule = LadderStep(self.feedback.step, self.feedback.step or 0.001)
        shown = self.rows.shown
        rows = len(self.solution) if shown is None else len(shown)
        self.best = raise_best(self.best, score, groups, rule, rows) or self.best
        assert self.best is not None
        return self.best.shown, outcome.alc


def boost(team: Team, submissions: int, rng: np.random.Generator) -> tuple[float, float]:
    """The attack of Blum and Hardt (2015, section 4): random votes, and the majority of those that looked good.

    Returns what the majority shows, and what it is worth on the rows that rank; a guess is worth 0.5.
    """
    examples = len(team.solution)
    good, before = np.zeros(examples), 0.5
    for _ in range(submissions):
        votes = rng.random(examples) < 0.5
        shown, _ = team.submit(votes)
        better = shown > (before if team.feedback.mode == "ladder" else 0.5)
        good += np.where(votes, 1, -1) * better
        before = max(before, shown)
    tie = rng.random(examples) < 0.5
    return team.submit(np.where(good == 0, tie, good > 0))


def attack(feedback: Feedback, attacks: int = 3) -> list[tuple[float, float]]:
    """Each by other votes on other labels."""
    found = []
    for seed in range(attacks):
        rng = np.random.default_rng(seed)
        labels = rng.random(EXAMPLES) < 0.5
        found.append(boost(Team(labels, feedback), SUBMISSIONS, rng))
    return found


def main() -> int:
    print("| feedback | the majority shows | it is worth |\n|---|---|---|")
    for name, feedback in (("live", LIVE), ("ladder, step 0.02", STEP), ("ladder, parameter-free", FREE)):
        found = np.mean(attack(feedback, 10), axis=0)
        print(f"| {name} | {found[0]:.3f} | {found[1]:.3f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
