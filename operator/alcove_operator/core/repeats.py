"""What differs between the repeats of a run: its seed, and the resources that are drawn for it. The same for all teams.

A repeat is another run on the same dataset, asked for by the phase. Another attempt at the same run, after a fault of
the platform, is an attempt: it has the seed and the resources of its run.
"""

from __future__ import annotations

import hashlib

from alcove_api.phase import Phase, Resources

_SEEDS = 2**31
"""Seeds are below this: NumPy and others take no larger ones everywhere."""


def compute_seed(phase: Phase, repeat: int) -> int:
    """``ALCOVE_SEED`` of a repeat (from 1). It does not tell which repeat it is, nor how many there are."""
    return _draw(phase, "seed", repeat) % _SEEDS


def draw_resources(phase: Phase, repeat: int) -> Resources:
    """What a repeat (from 1) gets. Every so many repeats as there are profiles, each profile is drawn once."""
    asked = phase.resources
    if not asked.profiles:
        return asked
    turn, place = divmod(repeat - 1, len(asked.profiles))
    order = sorted(range(len(asked.profiles)), key=lambda i: _draw(phase, f"profiles/{turn}", i))
    profile = asked.profiles[order[place]]
    named = {
        name: value for name in type(profile).model_fields if (value := getattr(profile, name)) is not None
    }
    return asked.replace(**named)


def _draw(phase: Phase, what: str, number: int) -> int:
    text = f"{phase.seed}/{phase.name}/{what}/{number}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
