"""A phase of one test's own, in the competition of all: by the values and `helm upgrade`, as organizers add one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from tests.demo import hackathon as steps
from tests.demo.hackathon import Hackathon


@contextmanager
def another_phase(hackathon: Hackathon, name: str, datasets: list[str], **changes: Any) -> Iterator[None]:
    """As the phase "single", but for its name, its datasets and ``changes``; goes again."""
    text = steps.values_file(hackathon.cluster, hackathon.name).read_text()
    values = yaml.safe_load(text)
    phases = values["competition"]["spec"]["phases"]
    single = next(phase for phase in phases if phase["name"] == "single")
    phases.append({**single, "name": name, "datasets": datasets, **changes})
    steps.install(hackathon.cluster, hackathon.name, values)
    try:
        yield
    finally:
        steps.install(hackathon.cluster, hackathon.name, yaml.safe_load(text))
