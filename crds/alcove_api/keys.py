"""Keys of the object store. Every part computes them here; none is ever taken from a spec that a team wrote.

The layout is in docs/design.md, "Object store". Only ``curve.json`` and the boards are overwritten, and what a role
may touch is always a prefix, so that a policy can be written for it.
"""

from __future__ import annotations

MAIN_BUCKET = "alcove"
SOLUTIONS_BUCKET = "alcove-solutions"
UPLOADS_BUCKET = "alcove-uploads"
"""Without versions: what is uploaded twice under one key takes its room once. Nothing in it counts."""
BUNDLES, SHARED, PERMITS = "bundles/", "shared/", "permits/"
"""Prefixes in :data:`UPLOADS_BUCKET`: bundles that Submissions wait for, what teams offer each other, and, before the
key that it is for, that a permit was given."""

CHANGES = "audit/"
"""Prefix of all audit lists: each Competition that an operator has seen has one."""


def dataset_manifest(sha256: str) -> str:
    return f"data/{sha256}/manifest.json"


def volume_manifest(sha256: str) -> str:
    """The same document of a dataset whose files are not in the store, but on a volume."""
    return f"data/{sha256}/volume.json"


def dataset_file(sha256: str, path: str) -> str:
    return f"data/{sha256}/files/{path}"


def solution(sha256: str) -> str:
    """Key in :data:`SOLUTIONS_BUCKET`."""
    return f"solutions/{sha256}"


def dataset_names() -> str:
    """Prefix of the index: what was pushed under which name."""
    return "data/names/"


def dataset_version(name: str, sha256: str) -> str:
    """A ``DatasetVersion``. The newest of a name is the one written last."""
    return f"{dataset_names()}{name}/{sha256}.json"


def shared(namespace: str) -> str:
    """Prefix of what a team offers to all others, in :data:`UPLOADS_BUCKET`."""
    return f"{SHARED}{namespace}/"


def shared_archive(namespace: str, slot: int) -> str:
    """Data and solution of what a team offers in that slot."""
    return f"{shared(namespace)}{slot}/dataset.tar.gz"


def shared_entry(namespace: str, slot: int) -> str:
    """An ``OfferedDataset``: what is in that slot."""
    return f"{shared(namespace)}{slot}/offer.json"


def code(sha256: str) -> str:
    return f"code/{sha256}.tar.gz"


def team_bundle(namespace: str, sha256: str) -> str:
    """Key in :data:`UPLOADS_BUCKET`: where a team uploads a bundle, by a permit for this key."""
    return f"{BUNDLES}{namespace}/{sha256}.tar.gz"


def probe(name: str) -> str:
    """Written and deleted again, to see whether the store has room; ``name``: of a release's namespace."""
    return f"probes/{name}"


def run_prefix(submission_uid: str, alias: str) -> str:
    """Prefix of everything of one run, of whatever attempt."""
    return f"runs/{submission_uid}/{alias}/"


def attempt_prefix(submission_uid: str, alias: str, attempt: int, pod_uid: str) -> str:
    """Everything that one pod records. The pod's uid keeps two pods of one attempt apart, should there ever be two."""
    return f"{run_prefix(submission_uid, alias)}{attempt}-{pod_uid}"


def snapshot(prefix: str, seq: int) -> str:
    return f"{prefix}/snap/{seq:08d}.bin"


def record(prefix: str, seq: int) -> str:
    return f"{prefix}/rec/{seq:08d}.json"


def log(prefix: str) -> str:
    return f"{prefix}/log.txt"


def manifest(prefix: str) -> str:
    return f"{prefix}/manifest.json"


def verdict(submission_uid: str, alias: str) -> str:
    return f"{run_prefix(submission_uid, alias)}verdict.json"


def live_curve(submission_uid: str) -> str:
    return f"scores/{submission_uid}/curve.json"


def score_result(submission_uid: str, scoring_digest: str) -> str:
    return f"scores/{submission_uid}/{scoring_digest}.json"


def score_svg(submission_uid: str, alias: str) -> str:
    return f"scores/{submission_uid}/{alias}.svg"


def score_pages(submission_uid: str) -> str:
    """Digests of the live curve, the pictures and the report."""
    return f"scores/{submission_uid}/pages.json"


def ladder(
    competition_namespace: str, competition: str, phase: str, scoring_digest: str, team: str, alias: str
) -> str:
    """Prefix of the ``LadderBest`` documents of a team on a dataset. Only the scorer reads or writes below
    ``ladders/``: no team can reset what lies there by deleting a Submission."""
    return f"ladders/{competition_namespace}.{competition}/{phase}/{scoring_digest}/{team}/{alias}/"


def ladder_best(prefix: str, number: int) -> str:
    return f"{prefix}{number:08d}.json"


def report(submission_uid: str) -> str:
    return f"scores/{submission_uid}/report.html"


def team_report(namespace: str, submission_uid: str) -> str:
    """What the team itself reads: a copy of :func:`report`, there once its scores may be seen."""
    return f"{team_reports(namespace)}{submission_uid}.html"


def team_log(namespace: str, submission_uid: str, run: str) -> str:
    """What the team itself reads of a run's output: a copy of :func:`log`, where the phase shows all of it."""
    return f"{team_reports(namespace)}{submission_uid}/{run}.log"


def team_reports(namespace: str) -> str:
    """Prefix that this team can read, and the operator alone can write."""
    return f"reports/{namespace}/"


def board_request(competition_namespace: str, competition: str, phase: str, generation: int) -> str:
    """An ``AggregateRequest``: with thousands of teams it is too long for an environment variable."""
    return board(competition_namespace, competition, phase, f"request-{generation}.json")


def board(competition_namespace: str, competition: str, phase: str, name: str) -> str:
    """``name``: ``table.json``, ``leaderboard.html``, ``curves.json``, ``history.json``, ``counted.json`` or
    ``activity.json``."""
    return f"boards/{competition_namespace}.{competition}/{phase}/{name}"


def changes(competition_namespace: str, competition: str) -> str:
    """Prefix of the audit list: what was changed in a Competition."""
    return f"{CHANGES}{competition_namespace}.{competition}/"


def audited_competition(key: str) -> str:
    """NAMESPACE.NAME of the Competition whose audit list a key, or a prefix of it, is of; "" of others."""
    return key.removeprefix(CHANGES).partition("/")[0] if key.startswith(CHANGES) else ""


def change(competition_namespace: str, competition: str, number: int) -> str:
    """A ``CompetitionChange``; from 1, in the order in which they were seen."""
    return f"{changes(competition_namespace, competition)}{number:08d}.json"


def notification_ledger(competition_namespace: str, competition: str) -> str:
    """A ``NotificationLedger``: what was noticed, and what webhooks have not taken yet."""
    return f"notifications/{competition_namespace}.{competition}.json"
