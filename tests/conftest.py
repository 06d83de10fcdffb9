"""For all tests: nothing is measured against the clock, which on a shared machine says little."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
