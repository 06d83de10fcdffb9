"""Deliberate faults of operator and recorder, by which it is seen that the judge finds faults.

No switch of theirs leads here: each is a module that a test's own image has Python import when it starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

SITE = "/opt/alcove/lib/python3.11/site-packages"
"""Where a file whose name ends in .pth says what Python imports first."""


@dataclass(frozen=True)
class Damage:
    """A module beside this file, of the name that is its key in :data:`DAMAGES`."""

    image: str
    """Whose, as in ``images/``."""
    said: str
    """What the judge says of it."""
    faults: tuple[str, ...] = ()
    """Kinds of those beside which it does harm."""


DAMAGES: Mapping[str, Damage] = MappingProxyType({
    "charge_participant": Damage("operator", "the participant pays for", ("recorder", "participant", "supervisor")),
    "keep_tickets": Damage("operator", "was never given back"),
    "repeat_beside_live_pod": Damage("operator", "it was repeated, and nothing was killed that excuses it"),
    "drop_snapshots": Damage("recorder", "it saved 8 predictions, and 6 are there"),
    "trust_own_clock": Damage("operator", "excuses it", ("operator-clock-ahead",)),
    "stamp_early": Damage("recorder", "before it was made"),
})  # fmt: skip


def write_damage(name: str, folder: Path) -> str:
    """Puts what an image needs into ``folder``; the lines of its Dockerfile for that."""
    source = Path(__file__).with_name(f"{name}.py")
    (folder / "damage.py").write_bytes(source.read_bytes())
    (folder / "damage.pth").write_text("import damage\n")
    return f"COPY damage.py damage.pth {SITE}/\n"
