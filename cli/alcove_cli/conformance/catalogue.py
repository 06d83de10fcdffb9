"""Types of the catalogue: a case is one attack on one promise, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from alcove_cli.conformance.checks import Check
from alcove_cli.conformance.evidence import Evidence
from alcove_cli.conformance.promises import BY_ID

Class = Literal["time", "data", "rights", "resources", "files"]
Outcome = Literal["refused", "contained", "ended at the budget", "harmless"]
Payer = Literal["nobody", "the participant"]
Pack = Callable[[dict[str, str]], bytes]
"""Makes a bundle of code, by name."""


@dataclass(frozen=True)
class Case:
    """``id`` is "<class>/<name>"."""

    id: str
    promise: str
    attack: str
    """What is tried, for people."""
    outcome: Outcome
    check: Check
    pays: Payer = "nobody"
    figure: Callable[[Evidence], str] | None = None
    """What was measured, for people."""

    def __post_init__(self) -> None:
        assert self.promise in BY_ID, self.promise

    @property
    def kind(self) -> str:
        return self.id.partition("/")[0]


@dataclass(frozen=True)
class Attack:
    """One Submission: a program, and the cases that its run shows."""

    program: str
    """Name of a file in ``programs``, without its ending."""
    cases: tuple[Case, ...]
    phase: str = "attack"
    """Of those of the release under test."""
    planted: tuple[str, ...] = ()
    """Names under which ``planted.py`` is handed in beside it."""
    as_neighbour: bool = False
    """Handed in by the other team."""
    pack: Pack | None = None
    """Hands the code in as an uploaded bundle; without it, it is in a ConfigMap."""
    own_image: bool = False
    """Hands in the image that the suite was given, and no code."""
    name: str = ""
    """Where several have one program."""

    @property
    def pays(self) -> Payer:
        """For its run: the participant, where one of its cases says so."""
        return "the participant" if any(case.pays == "the participant" for case in self.cases) else "nobody"

    @property
    def submission(self) -> str:
        """Its name."""
        return self.name or self.program.replace("_", "-")

    def files(self, replaced: dict[str, str]) -> dict[str, str]:
        """The code to hand in, by name; ``replaced``: words of the program and what stands for them."""
        source = read_program(self.program)
        for word, value in replaced.items():
            source = source.replace(word, value)
        found = {"model.py": source, "kit.py": read_program("kit")}
        return found | {name: read_program("planted") for name in self.planted}


def read_program(name: str) -> str:
    folder = resources.files("alcove_cli.conformance") / "programs"
    return (folder / f"{name}.py").read_text(encoding="utf-8")
