"""What runs while things break: submissions that predict on a fixed schedule, always as many at a time."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import dedent
from typing import Any

import numpy as np

from tests.demo.hackathon import DemoError, Hackathon

PREDICTIONS = 8
"""Of a run: one each second after its go."""
BUDGET = 25
PHASE, DATASET = "single", "digits"
ENDED = ("Done", "Failed", "Rejected")
WRAPS = 4096 * 4096
"""Milliseconds after which the moments in predictions begin again."""


def write_program(predictions: int) -> str:
    """A model.py that saves one prediction each second, and says in each when it made it."""
    return dedent(f"""\
    import time

    import numpy as np


    class Model:
        \"\"\"Its predictions are noise, but for two moments of each: by the wall clock, and since __init__.\"\"\"

        framework = "numpy"

        def __init__(self, metadata):
            self.metadata = metadata
            self.began = time.monotonic()
            self.saved = 0
            self.done_training = False

        def train(self, dataset, remaining_time_budget=None):
            pass

        def test(self, dataset, remaining_time_budget=None):
            if not self.saved:
                self.rows = sum(1 for _ in dataset)
            self.saved += 1
            self.done_training = self.saved == {predictions}
            said = np.random.default_rng(self.saved).random((self.rows, self.metadata.get_output_size()))
            time.sleep(max(0.0, self.began + self.saved - time.monotonic()))
            moments = time.time(), time.monotonic() - self.began
            for row, milliseconds in enumerate(int(moment * 1000) % {WRAPS} for moment in moments):
                said[row, :2] = milliseconds // 4096 / 4096, milliseconds % 4096 / 4096
            return said
    """)


def read_moments(snapshot: bytes) -> tuple[int, float]:
    """What such a program wrote into a prediction: milliseconds by the wall clock modulo :data:`WRAPS`, and seconds
    since its object was made."""
    pairs = np.load(io.BytesIO(snapshot), allow_pickle=False)[:2, :2].tolist()
    made, since = (round(high * 4096) * 4096 + round(low * 4096) for high, low in pairs)
    return made, since / 1000


@dataclass
class Load:
    """Hands in one submission after the other, so that ``at_once`` of them are under way."""

    hackathon: Hackathon
    at_once: int
    acknowledged: list[str] = field(default_factory=list)
    """Namespace and name of each that the API server took."""
    refused: int = 0
    """How often none could be handed in."""
    last_refusal: str = ""

    def top_up(self, there: Sequence[Mapping[str, Any]]) -> None:
        """``there``: all submissions as they are now. What is refused is noted, and handed in the next time."""
        open_now = sum(not has_ended(one) for one in there)
        try:
            for _ in range(self.at_once - open_now):
                self._submit(len(self.acknowledged) + 1)
        except DemoError as error:
            self.refused, self.last_refusal = self.refused + 1, str(error)

    def list(self) -> list[dict[str, Any]]:
        """All that was handed in. Raises DemoError."""
        out = self.hackathon.kubectl("get", "submissions", "-A", "-o", "json", timeout=10)
        found: list[dict[str, Any]] = json.loads(out)["items"]
        return found

    def _submit(self, number: int) -> None:
        teams = self.hackathon.teams
        namespace, name = self.hackathon.team_namespace(teams[number % len(teams)]), f"chaos-{number:04}"
        reference = {"namespace": self.hackathon.name, "name": self.hackathon.name}
        about = {"metadata": {"name": name, "namespace": namespace}}
        code = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            **about,
            "data": {"model.py": write_program(PREDICTIONS)},
        }
        spec = {
            "competition": reference,
            "phase": PHASE,
            "code": {"configMap": {"name": name}, "framework": "numpy"},
        }
        submission = {"apiVersion": "alcove.dev/v1alpha1", "kind": "Submission", **about, "spec": spec}
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [code, submission]})
        # Applied, so that one whose answer was lost is handed in again under the same name.
        self.hackathon.kubectl("apply", "-f", "-", stdin=text, timeout=20)
        self.acknowledged.append(f"{namespace}/{name}")


def has_ended(submission: Mapping[str, Any]) -> bool:
    return (submission.get("status") or {}).get("phase") in ENDED
