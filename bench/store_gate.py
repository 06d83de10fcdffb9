"""What the gate before SeaweedFS costs: the same requests through it and past it, in turns, in one run.

python -m bench.store_gate [--rounds 15]
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from minio import Minio

from alcove_api import keys
from alcove_operator.store import OperatorStore
from alcove_store import client as store_client
from alcove_store.post import send_upload
from bench.reading import least
from tests.cluster.api import seaweedfs_server
from tests.integration.store.conftest import SCORER, SIGNER, SetUpStore, set_up

MIB = 1 << 20
SMALL, MANY = 16 << 10, 50
"""Bytes of a small object, and how many of them a turn has."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="turns of each, of which the quickest counts")
    rounds = parser.parse_args().rounds
    with seaweedfs_server(SIGNER, SCORER) as server, tempfile.TemporaryDirectory() as folder:
        through = set_up(server, Path(folder))
        past = replace(through, server=replace(server, endpoint=server.behind))
        print(f"load {os.getloadavg()[0]:.0f}\n")
        print("| | through the gate | past it | ratio |\n|---|---|---|---|", flush=True)
        for what, act in actions(rounds).items():
            with_gate, without = (prepare(act, store) for store in (through, past))
            times = least({"through": with_gate, "past": without}, rounds)
            ratio = times["through"] / times["past"]
            print(f"| {what} | {times['through']:.3f} s | {times['past']:.3f} s | {ratio:.2f} |", flush=True)
    return 0


def prepare(act: Callable[[SetUpStore, Minio], None], store: SetUpStore) -> Callable[[], None]:
    client = store.client("operator")
    return lambda: act(store, client)


def actions(rounds: int) -> dict[str, Callable[[SetUpStore, Minio], None]]:
    big, small = os.urandom(16 * MIB), os.urandom(SMALL)
    keys_of_forms = iter(range(4 * rounds))

    def put(_: SetUpStore, client: Minio) -> None:
        client.put_object(keys.MAIN_BUCKET, "runs/u/d/1-p/big", io.BytesIO(big), len(big), part_size=len(big))

    def get(_: SetUpStore, client: Minio) -> None:
        for _piece in store_client.stream(client, keys.MAIN_BUCKET, "runs/u/d/1-p/big"):
            pass

    def put_small(_: SetUpStore, client: Minio) -> None:
        for number in range(MANY):
            store_client.put_bytes(client, keys.MAIN_BUCKET, f"runs/u/d/1-p/{number}", small)

    def send_form(store: SetUpStore, client: Minio) -> None:
        key = keys.team_bundle(f"team-{next(keys_of_forms)}", "0" * 64)
        ends = datetime.now(UTC) + timedelta(hours=1)
        permit = OperatorStore(client, keys.MAIN_BUCKET).permit_upload(key, len(big), ends, store.server.url)
        send_upload(permit, io.BytesIO(big), len(big), permit.url)

    return {
        "a put of 16 MiB": put,
        "a get of 16 MiB": get,
        f"{MANY} puts of 16 KiB, one after the other": put_small,
        "a form of 16 MiB": send_form,
    }


if __name__ == "__main__":
    raise SystemExit(main())
