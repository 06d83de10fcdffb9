"""All that a check found: a report for programs, and the little of it that fits a termination message."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from alcove_api.documents import CheckResult
from alcove_api.schemes import Task
from alcove_toolkit.check.findings import Finding

MOST_PROBLEMS, LONGEST_PROBLEM = 8, 300
MOST_WARNINGS = 6
MESSAGE_BYTES = 4096
"""What fits the termination message of a pod."""


@dataclass(frozen=True)
class PartReport:
    examples: int
    bytes: int
    files: int
    labelled: int
    """Examples that carry a label; 0 in test."""
    steps: tuple[int, int]
    """Fewest and most of an example."""
    repeated: int
    """Examples that are the same as an earlier one of this part."""


@dataclass(frozen=True)
class LabelReport:
    name: str
    train: int
    """Examples that have it."""
    test: int


@dataclass(frozen=True)
class Spread:
    """Of a number to predict, in one part."""

    lowest: float
    median: float
    highest: float


@dataclass(frozen=True)
class TargetReport:
    name: str
    train: Spread
    test: Spread


@dataclass(frozen=True)
class Report:
    """What was found in a dataset. Parts and labels are missing where reading did not come so far."""

    findings: tuple[Finding, ...]
    """Errors first."""
    domain: str = ""
    task: Task | None = None
    split: str = ""
    """How the metadata say that train and test were parted."""
    train: PartReport | None = None
    test: PartReport | None = None
    in_both: int = 0
    """Test examples that are in train as well."""
    labels: tuple[LabelReport, ...] = ()
    """None of a regression."""
    targets: tuple[TargetReport, ...] = ()
    """Of a regression."""
    n_train: int = 0
    n_test: int = 0
    n_labels: int = 0
    metric: str = ""
    chance_score: float | None = None
    linear_score: float | None = None
    sampled: int = 0
    """Examples of each part, at most, that models were fitted to and tried on."""

    @property
    def ok(self) -> bool:
        """Whether the dataset may be used."""
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.severity == "warning")

    @property
    def problems(self) -> tuple[str, ...]:
        """Sentences: why it must not be used."""
        return tuple(str(f) for f in self.errors)

    @property
    def bytes(self) -> int:
        return sum(part.bytes for part in (self.train, self.test) if part)

    def to_json(self) -> dict[str, Any]:
        """The keys of :class:`CheckResult`, uncut, and beside them ``findings``, ``parts``, ``labels``."""
        return {
            "ok": self.ok,
            "problems": list(self.problems),
            "warnings": [str(f) for f in self.warnings],
            "domain": self.domain,
            "task": self.task,
            "n_train": self.n_train,
            "n_test": self.n_test,
            "n_labels": self.n_labels,
            "bytes": self.bytes,
            "metric": self.metric,
            "chance_score": self.chance_score,
            "linear_score": self.linear_score,
            "split": self.split,
            "sampled": self.sampled,
            "findings": [asdict(f) for f in self.findings],
            "parts": {name: asdict(p) for name, p in (("train", self.train), ("test", self.test)) if p},
            "in_both": self.in_both,
            "labels": [asdict(label) for label in self.labels],
            "targets": [asdict(target) for target in self.targets],
        }

    def to_result(self) -> CheckResult:
        """What fits a termination message."""
        result = CheckResult(
            ok=self.ok,
            problems=_few(self.errors, MOST_PROBLEMS, "Correct these first."),
            warnings=_few(self.warnings, MOST_WARNINGS, "See `alcove dataset check`."),
            domain=self.domain,
            task=self.task,
            n_train=self.n_train,
            n_test=self.n_test,
            n_labels=self.n_labels,
            bytes=self.bytes,
            chance_score=self.chance_score,
            linear_score=self.linear_score,
        )
        return shorten_to_fit(result)


def shorten_to_fit(result: CheckResult) -> CheckResult:
    """The same in ``MESSAGE_BYTES``: sentences are shortened, a warning before a problem."""
    longest = LONGEST_PROBLEM
    while len(result.canonical()) > MESSAGE_BYTES and longest > 20:
        longest -= 20
        result = result.replace(
            problems=tuple(_cut(p, longest + 60) for p in result.problems),
            warnings=tuple(_cut(w, longest) for w in result.warnings),
        )
    return result


def _few(findings: Iterable[Finding], most: int, rest: str) -> tuple[str, ...]:
    sentences = [_cut(str(f), LONGEST_PROBLEM) for f in findings]
    if len(sentences) > most:
        sentences = [*sentences[: most - 1], f"And {len(sentences) - most + 1} more. {rest}"]
    return tuple(sentences)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
