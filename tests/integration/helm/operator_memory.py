"""Run by test_object_size: what an operator holds at most while it lists and watches; prints MiB."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

from alcove_kube.client import KubeClient
from alcove_operator.api import Api
from alcove_operator.config import OperatorSettings
from alcove_operator.index import Index
from alcove_operator.listing import fill_index
from alcove_operator.service import Service  # noqa: F401  what the operator has loaded besides
from alcove_operator.watches import TeamWatch, watch_competition


async def list_and_watch(own: str, teams: tuple[str, ...]) -> None:
    settings = OperatorSettings(
        namespaces=(own, *teams), competition_namespace=own, image_ingestion="i", image_recorder="r",
        image_scorer="s", store_endpoint="http://store:9000", store_credentials=Path("unused"), health_port=0,
    )  # fmt: skip
    index = Index()
    await fill_index(index, Api(KubeClient.from_kubeconfig()), settings, teams)
    TeamWatch(index, frozenset(teams))
    watching, _ = watch_competition(index, settings)
    await asyncio.wait([asyncio.create_task(watching)], timeout=10)
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak is not None
    print(len(index.submissions), int(peak[1]) // 1024, flush=True)
    # Kopf ends slowly.
    os._exit(0)


asyncio.run(list_and_watch(sys.argv[1], tuple(sys.argv[2:])))
