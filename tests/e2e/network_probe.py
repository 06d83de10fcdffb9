"""What a pod of test_network.py runs: tries all targets at once, again and again, and reports those that it reached.

It ends once two rounds in a row were as expected, or after a while, for an engine takes a moment to know a new pod.
The last round is the report either way.
"""

from __future__ import annotations

import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SECONDS = 40.0
TIMEOUT = 1.5
# Whether `kubernetes.default.svc.cluster.local` has an IPv4 address.
QUESTION = (
    b"\xa1\xc0\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
    b"\x0akubernetes\x07default\x03svc\x07cluster\x05local\x00\x00\x01\x00\x01"
)


def reaches(target: tuple[str, str, int]) -> bool:
    """``target``: tcp or udp, host, port. Over UDP, where nothing connects, a DNS server has to answer."""
    protocol, host, port = target
    try:
        if protocol == "tcp":
            socket.create_connection((host, port), TIMEOUT).close()
            return True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            asked.settimeout(TIMEOUT)
            asked.connect((host, port))
            asked.send(QUESTION)
            return asked.recv(512)[:2] == QUESTION[:2]
    except OSError:
        return False


def main() -> None:
    targets: dict[str, tuple[str, str, int]] = json.loads(os.environ["TARGETS"])
    expected = set(json.loads(os.environ["EXPECTED"]))
    end, before, reached = time.monotonic() + SECONDS, None, None
    with ThreadPoolExecutor(len(targets)) as pool:
        while time.monotonic() < end and not (before == reached == expected):
            before = reached
            answers = pool.map(reaches, targets.values())
            reached = {name for name, answer in zip(targets, answers, strict=True) if answer}
            time.sleep(0.5)
    Path("/dev/termination-log").write_text(json.dumps(sorted(reached or ())))


if __name__ == "__main__":
    main()
