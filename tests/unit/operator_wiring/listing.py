"""Names of the objects in a hackathon's API server."""

from __future__ import annotations

from tests.unit.operator_wiring.hackathon import Hackathon


def jobs(hackathon: Hackathon) -> list[str]:
    return [name for plural, _, name in hackathon.server.objects if plural == "jobs"]


def submissions(hackathon: Hackathon) -> list[str]:
    return [name for plural, _, name in hackathon.server.objects if plural == "submissions"]
