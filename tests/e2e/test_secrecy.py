"""What a team can learn of its scores: nothing before a blind phase's reveal, and in a live phase what was promised."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import subprocess
import urllib.request
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minio import Minio
from minio.credentials import StaticProvider

from alcove_api import keys
from alcove_api.score_documents import LiveCurve, ScoreResult
from alcove_cli.conformance.reading import fetch_text, read_cluster, read_store
from alcove_format.solution import parse_solution
from alcove_kube.client import KubeClient
from alcove_scorer.metrics import BalancedAccuracy
from alcove_scorer.row_choice import order_shown_rows
from alcove_store.client import client as store_client
from tests.cluster.stores import list_keys
from tests.demo.hackathon import Hackathon, wait_for
from tests.e2e import models
from tests.e2e.conftest import NEVER, Object, Team, alcove, as_participant

pytestmark = pytest.mark.e2e
REVEALED = "2026-01-01T00:00:00Z"


def readable(team: Team, scratch: Path) -> dict[str, str]:
    """All that the team's own account can read: of the cluster, of the store, and the operator's metrics."""
    hackathon = team.hackathon
    admin = KubeClient.from_kubeconfig(str(hackathon.cluster.kubeconfig))
    eyes = KubeClient.from_kubeconfig(str(as_participant(hackathon, team.namespace, scratch).kubeconfig))
    namespaces = [hackathon.name, *(hackathon.team_namespace(name) for name in hackathon.teams)]
    found = read_cluster(admin, eyes, namespaces)
    store = hackathon.store(secret="alcove-store", namespace=team.namespace)
    found |= read_store(store, stored(hackathon))
    service = hackathon.get("service", "alcove-operator")["spec"]
    with urllib.request.urlopen(f"http://{service['clusterIP']}:9090/metrics", timeout=10) as answer:
        found["metrics"] = answer.read().decode()
    return {where: text for where, text in found.items() if text}


def root_store(hackathon: Hackathon) -> Minio:
    secret = {
        k: base64.b64decode(v).decode()
        for k, v in hackathon.get("secret", "alcove-store-root")["data"].items()
    }
    provider = StaticProvider(secret["rootUser"], secret["rootPassword"])
    return store_client(hackathon.store_url(), "us-east-1", provider)


def stored(hackathon: Hackathon) -> list[tuple[str, str]]:
    root = root_store(hackathon)
    everything = [(b.name, key) for b in root.list_buckets() for key in list_keys(root, b.name, "")]
    # Datasets have thousands of files alike.
    return [(bucket, key) for bucket, key in everything if not re.match(r"data/\w+/files/", key)]


def tokens(result: ScoreResult) -> set[str]:
    """How its scores begin, to four decimals and more."""
    (run,) = result.runs
    values = [run.alc, run.final_score, *(point.score for point in run.points)]
    said = [text for v in values if v is not None for text in (f"{abs(v):.4f}", f"{abs(v):.8f}"[:6])]
    # What is too plain could be about anything.
    return {text for text in said if not text.endswith("00")}


def where(found: dict[str, str], said: Iterable[str]) -> list[str]:
    return [place for place, text in found.items() if any(token in text for token in said)]


def fetch_report(team: Team, name: str, scratch: Path) -> subprocess.CompletedProcess[str]:
    """As the team types it."""
    own = as_participant(team.hackathon, team.namespace, scratch)
    store, out = team.hackathon.store_url(), str(scratch / f"{name}.html")
    return alcove(own, "report", name, "--team", team.namespace, "--store", store, "--out", out)


def ranked(found: dict[str, str]) -> list[str]:
    """Where ranks or scores are, the boards of other phases left out: what they show is theirs to show."""
    number = re.compile(r'"(rank|averageRank|alc)":\s*-?[0-9]|"curve":\s*\[\{')
    other_boards = re.compile(r"/leaderboards(/(?!blind$).*)?$")
    return [place for place, text in found.items() if number.search(text) and not other_boards.search(place)]


@pytest.fixture
def blind(hackathon: Hackathon) -> Iterator[Hackathon]:
    yield hackathon
    # As before the first submission: what was revealed would stay on the board.
    reveal(hackathon, NEVER)
    hackathon.kubectl("delete", "leaderboard", "blind", "-n", hackathon.name)


def reveal(hackathon: Hackathon, at: str) -> None:
    phases = hackathon.get("competition", hackathon.name)["spec"]["phases"]
    (number,) = (i for i, phase in enumerate(phases) if phase["name"] == "blind")
    patch = [{"op": "replace", "path": f"/spec/phases/{number}/revealsAt", "value": at}]
    name = hackathon.name
    hackathon.kubectl("patch", "competition", name, "-n", name, "--type=json", "-p", json.dumps(patch))


def test_nothing_of_a_blind_phase_is_readable_before_its_reveal(
    red: Team, blue: Team, blind: Hackathon, tmp_path: Path
) -> None:
    red.submit("hidden", models.BOLD, phase="blind")
    blue.submit("hidden", models.SHY, phase="blind")
    for team in (red, blue):
        assert team.until("hidden")["phase"] == "Done"
    results = [result for team in (red, blue) for result in team.results("hidden").values()]
    # An organizer who looks at other settings meanwhile leaves nothing behind that a team can read.
    looked = alcove(
        blind.cluster, "rescore", blind.name, "--scheme", "autodl", "--phase", "blind", "--dry-run"
    )
    assert looked.returncode == 0, looked.stderr
    assert red.namespace in looked.stdout
    results += [result for team in (red, blue) for result in team.results("hidden").values()]
    said = set[str]().union(*map(tokens, results))
    assert len(said) >= 6
    solution = blind.get("dataset", "digits")["spec"]["solutionSha256"]

    found = readable(red, tmp_path)
    assert f"/apis/alcove.dev/v1alpha1/namespaces/{red.namespace}/submissions" in found, "it does read"
    assert f"/apis/alcove.dev/v1alpha1/namespaces/{blind.name}/leaderboards/blind" in found
    report = f"{keys.MAIN_BUCKET}/{keys.team_report(red.namespace, red.uid('hidden'))}"
    assert report not in found
    assert where(found, {*said, solution}) == []
    assert ranked(found) == []
    of_blue = [path for path in found if blue.namespace in path]
    assert of_blue == [], "nothing of another team's"
    own = [path for path in found if f"/namespaces/{blind.name}/" in path and "leaderboards" not in path]
    assert own == [], "nothing of the competition's but Leaderboards: no pod, no log"
    early = fetch_report(red, "hidden", tmp_path)
    assert (early.returncode, early.stdout) == (1, "")
    assert "are shown from its reveal on" in early.stderr

    reveal(blind, REVEALED)
    wait_for("the rank", lambda: red.status("hidden").get("rank") is not None)
    fetched = fetch_report(red, "hidden", tmp_path)
    assert fetched.returncode == 0, fetched.stderr
    page = Path(fetched.stdout.strip()).read_text()
    assert f"{red.status('hidden')['runs'][0]['alc']:g}".replace("-", "−") in page
    found = readable(red, tmp_path)
    assert report in found
    assert where({path: path for path in found if "/reports/" in path}, {blue.namespace}) == []
    assert where(found, tokens(results[0]))
    assert any("leaderboards" in place for place in where(found, tokens(results[0])))
    assert "metrics" in [
        place for place, text in found.items() if "alcove_rank{" in text and 'phase="blind"' in text
    ]
    assert ranked(found)
    assert where(found, {solution}) == []


def test_a_live_curve_grows_and_says_no_more_than_the_phase_allows(red: Team, hackathon: Hackathon) -> None:
    red.submit("steady", models.STEADY, phase="live")
    store, uid = hackathon.store("scorer"), red.uid("steady")
    seen: list[Object] = []
    written: list[LiveCurve] = []

    def ended() -> bool:
        run = red.run("steady")
        if run.get("phase") == "Running" and run.get("curve") and run != (seen[-1] if seen else {}):
            seen.append(run)
        text = fetch_text(store, keys.MAIN_BUCKET, keys.live_curve(uid))
        if text and (not written or LiveCurve.model_validate_json(text) != written[-1]):
            written.append(LiveCurve.model_validate_json(text))
        return red.status("steady").get("phase") in ("Done", "Failed")

    wait_for("the end of the run", ended)
    assert red.status("steady")["phase"] == "Done"
    counts = [run["snapshots"] for run in seen]
    assert len(counts) >= 3, f"it grew {counts}"
    assert counts == sorted(counts)
    curves: list[list[Any]] = [run["curve"] for run in seen]
    assert all(later[: len(earlier)] == earlier for earlier, later in pairwise(curves))
    assert max(map(len, curves)) <= 8
    shown = [p["score"] for p in curves[-1]] + [run["alc"] for run in seen]
    assert all(number == round(number, 2) for number in shown)
    assert [run.snapshots for curve in written for run in curve.runs] == sorted(
        run.snapshots for curve in written for run in curve.runs
    )
    assert all(p.score == round(p.score, 2) for curve in written for run in curve.runs for p in run.curve)
    check_half(red, hackathon, curves[-1])


def check_half(team: Team, hackathon: Hackathon, curve: list[Object]) -> None:
    """The points are those of half the test set, which those of the whole are not."""
    text = (hackathon.cluster.state / "datasets" / "digits.solution").read_bytes()
    solution = parse_solution(text, "digits").view(np.bool_)
    rows = order_shown_rows(hashlib.sha256(text).hexdigest(), 0, solution, 0.5)
    assert rows is not None
    assert len(rows) == len(solution) // 2
    (manifest,) = team.manifests("steady")
    prefix = keys.attempt_prefix(manifest.submission_uid, "digits", manifest.attempt, manifest.pod_uid)
    metric, half, whole = BalancedAccuracy(), dict[float, float](), dict[float, float]()
    store = hackathon.store("scorer")
    for record in manifest.records:
        data = store.get_object(keys.MAIN_BUCKET, keys.snapshot(prefix, record.seq)).read()
        prediction = np.load(io.BytesIO(data))
        half[record.t_ns / 1e9] = round(metric.score(solution[rows], prediction[rows]), 2)
        whole[record.t_ns / 1e9] = round(metric.score(solution, prediction), 2)
    points = {point["t"]: point["score"] for point in curve}
    assert points == {t: half[t] for t in points}
    assert points != {t: whole[t] for t in points}
