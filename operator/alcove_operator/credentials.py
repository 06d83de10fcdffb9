"""Short-lived credentials of one Job, and the policies that say what every role may do in the object store.

The policies are pure functions; only :func:`session_credentials` talks to the store. A session's rights are the
intersection of its policy with its parent's, so the parent's own policy has to hold all that is handed on: the
operator's for runs, the scorer's for whatever reads solutions.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import UTC
from typing import Any

from minio.credentials import AssumeRoleProvider
from urllib3 import PoolManager

from alcove_api import keys
from alcove_api.documents import CheckRequest, StoreCredentials
from alcove_api.score_documents import ScoreRequest
from alcove_operator.errors import OperatorError
from alcove_store.client import http_pool, store_errors
from alcove_store.errors import StoreDeniedError, StoreError, StoreUnavailableError

Policy = dict[str, Any]

POLICY_LIMIT = 2048
"""Characters of a session policy, from the STS API."""
SHORTEST_SECONDS, LONGEST_SECONDS = 3600, 43200
"""A session's life, from the SDK at least, and at most from the STS API. (It would take 900.)"""
RUN_ROLE, SCORE_ROLE = "alcove-run", "alcove-score"
"""What a session of a run, or of a Job of the scorer, is made from where a store knows roles. MinIO makes it from the
user who asks."""
DIGEST_DIGITS = 16
"""Of a solution's digest in a policy: as good as all 64, and a policy has room for a dozen."""
_ACCOUNT = "000000000000"


def _allow(actions: list[str], bucket: str, *patterns: str) -> Policy:
    return {
        "Effect": "Allow",
        "Action": [f"s3:{action}" for action in actions],
        "Resource": [f"arn:aws:s3:::{bucket}/{pattern}" for pattern in patterns],
    }


def _list(bucket: str, *patterns: str, versions: bool = False) -> Policy:
    """``versions``: those of each object too."""
    statement: Policy = {
        "Effect": "Allow",
        "Action": ["s3:ListBucket", *(["s3:ListBucketVersions"] if versions else [])],
        "Resource": [f"arn:aws:s3:::{bucket}"],
    }
    if patterns:
        statement["Condition"] = {"StringLike": {"s3:prefix": list(patterns)}}
    return statement


def _policy(*statements: Policy) -> Policy:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _board(name: str) -> str:
    """That file of every board."""
    return keys.board("*", "*", "*", name)


_PUT = ["PutObject", "AbortMultipartUpload"]
"""Large objects are uploaded in parts; an upload that fails is taken back."""
_PRUNED = ("runs/*/snap/*", "runs/*/log.txt", "reports/*.log", "code/*")
"""What retention may delete. Of records, manifests, scores and boards nobody can delete a version; what runs now, which
lies beside the boards, is no evidence."""


def recorder_policy(submission_uid: str, alias: str, attempt: int, bucket: str = keys.MAIN_BUCKET) -> Policy:
    """Put only, and only what this attempt records. The pod's uid is not known yet when it is made."""
    return _policy(_allow(_PUT, bucket, keys.attempt_prefix(submission_uid, alias, attempt, "*") + "/*"))


def stage_policy(data_sha256: str | None, code_sha256: str | None, bucket: str = keys.MAIN_BUCKET) -> Policy:
    """Get only, and only this run's dataset and code.

    Nothing where neither is in the store: an image of the participant's own, on a dataset that lies on a volume.
    """
    patterns = [f"data/{data_sha256}/*"] if data_sha256 else []
    patterns += [keys.code(code_sha256)] if code_sha256 else []
    if not patterns:
        return _policy({**_allow(["*"], bucket, "*"), "Effect": "Deny"})
    return _policy(_allow(["GetObject"], bucket, *patterns))


def run_role_policy(bucket: str = keys.MAIN_BUCKET) -> Policy:
    """All that any run may do. What one run may do is the intersection with :func:`recorder_policy` or
    :func:`stage_policy`.
    """
    return _policy(_allow(["GetObject"], bucket, "data/*", "code/*"), _allow(_PUT, bucket, "runs/*"))


def score_policy(request: ScoreRequest, bucket: str = keys.MAIN_BUCKET) -> Policy:
    """What scoring one submission takes, but for the solutions (:func:`solutions_policy`): reads its runs and the
    nameless curves of its phase's board; writes its scores, its team's Ladder where the phase has one, and the manifest
    of a run whose recorder could not.
    """
    runs, scores = f"runs/{request.submission_uid}/*", f"scores/{request.submission_uid}/*"
    where = (request.competition_namespace, request.competition, request.phase)
    curves = keys.board(*where, "curves.json")
    written = [scores]
    if request.feedback.mode == "ladder":
        written.append(
            keys.ladder(*where, request.scoring_digest(), request.namespace, "*").removesuffix("/")
        )
    return _policy(
        _allow(["GetObject"], bucket, runs, curves),
        _allow(["GetObject", *_PUT], bucket, *written),
        _allow(_PUT, bucket, f"{runs}/manifest.json"),
        # Who may not list is not told that an object is absent.
        _list(bucket, runs, *written, curves),
    )


def solutions_policy(digests: Sequence[str], bucket: str = keys.SOLUTIONS_BUCKET) -> Policy:
    """Get only, and only these solutions: at most :data:`alcove_api.score_documents.SOLUTIONS_A_FILE`."""
    patterns = [f"{keys.solution(digest[:DIGEST_DIGITS])}*" for digest in digests]
    return _policy(_allow(["GetObject"], bucket, *patterns), _list(bucket, *patterns))


def check_policy(
    request: CheckRequest, bucket: str = keys.MAIN_BUCKET, solutions: str = keys.SOLUTIONS_BUCKET
) -> Policy:
    """Get only, and only one dataset and its solution."""
    data, solution = f"data/{request.data_sha256}/*", keys.solution(request.solution_sha256)
    return _policy(
        _allow(["GetObject"], bucket, data),
        _list(bucket, data),
        _allow(["GetObject"], solutions, solution),
        _list(solutions, solution),
    )


def role_arn(role: str) -> str:
    return f"arn:aws:iam::{_ACCOUNT}:role/{role}"


def _role(name: str, user: str) -> Policy:
    """Of SeaweedFS: that ``user`` may take it, with the policy of its name."""
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{_ACCOUNT}:user/{user}"},
        "Action": ["sts:AssumeRole"],
    }
    return {
        "roleName": name,
        "roleArn": role_arn(name),
        "trustPolicy": _policy(trust),
        "attachedPolicies": [name],
        "maxSessionDuration": LONGEST_SECONDS,
    }


def seaweedfs_configuration(
    operator: str,
    scorer: str,
    signing_key: bytes,
    bucket: str = keys.MAIN_BUCKET,
    solutions: str = keys.SOLUTIONS_BUCKET,
) -> Policy:
    """What SeaweedFS reads when it starts: who may hand on credentials of Jobs, and what those can do at most.

    ``operator`` and ``scorer`` are the names of these roles' users, ``signing_key`` 32 random bytes that tokens are
    signed with. Nothing is allowed that no policy allows.
    """
    return {
        "sts": {
            "tokenDuration": "1h",
            "maxSessionLength": f"{LONGEST_SECONDS // 3600}h",
            "issuer": "alcove",
            "signingKey": base64.b64encode(signing_key).decode(),
        },
        "policy": {"defaultEffect": "Deny", "storeType": "memory"},
        "roles": [_role(RUN_ROLE, operator), _role(SCORE_ROLE, scorer)],
        "policies": [
            {"name": RUN_ROLE, "document": run_role_policy(bucket)},
            {"name": SCORE_ROLE, "document": scorer_policy(bucket, solutions)},
        ],
    }


def operator_policy(
    bucket: str = keys.MAIN_BUCKET, uploads: str = keys.UPLOADS_BUCKET, *, asks_minio: bool = True
) -> Policy:
    """What it does itself, and what it hands on to runs and, as permits, to teams. No solutions. It alone deletes.

    With ``asks_minio`` also how full the disks are (:mod:`alcove_operator.store_disks`), which reads no object. Other
    stores do not know that right, and refuse a whole policy for it.
    """
    disks: list[Policy] = [{"Effect": "Allow", "Action": ["admin:ServerInfo"]}]
    return _policy(
        _allow(
            ["GetObject"],
            bucket,
            "code/*",
            "runs/*",
            "scores/*",
            "boards/*",
            "data/*",
            "audit/*",
            "notifications/*",
        ),
        _allow(
            _PUT,
            bucket,
            "audit/*",
            "notifications/*",
            "code/*",
            "runs/*",
            "reports/*",
            keys.probe("*"),
            "boards/*/*/request-*.json",
            _board("counted.json"),
            _board("activity.json"),
        ),
        _allow(
            ["DeleteObject", "DeleteObjectVersion"],
            bucket,
            *_PRUNED,
            keys.probe("*"),
            _board("activity.json"),
        ),
        _list(bucket, *_EVIDENCE, "notifications/*", versions=True),
        _allow(["GetObject", "PutObject", "DeleteObject"], uploads, "*"),
        _list(uploads),
        *(disks if asks_minio else []),
    )


def scorer_policy(bucket: str = keys.MAIN_BUCKET, solutions: str = keys.SOLUTIONS_BUCKET) -> Policy:
    """All that any Job of the scorer may do: what one may is the intersection with :func:`score_policy`,
    :func:`solutions_policy` or :func:`check_policy`. Of all pods the
    operator's alone has these credentials, and hands them on.
    """
    curves = _board("curves.json")
    return _policy(
        _allow(["GetObject"], bucket, "runs/*", "data/*", "scores/*", "ladders/*", curves),
        _allow(_PUT, bucket, "scores/*", "ladders/*", "runs/*/manifest.json"),
        # Who may not list is not told that an object is absent.
        _list(bucket, "runs/*", "data/*", "scores/*", "ladders/*", curves),
        _allow(["GetObject"], solutions, "*"),
        _list(solutions),
    )


def aggregate_policy(bucket: str = keys.MAIN_BUCKET) -> Policy:
    """Writes what a board consists of, but not what the operator says is on it: requests, and what counted."""
    files = ("table.json", "leaderboard.html", "curves.json", "history.json")
    return _policy(
        _allow(["GetObject"], bucket, "scores/*", "boards/*"),
        _allow(_PUT, bucket, *(_board(name) for name in files)),
        _list(bucket, "scores/*", "boards/*"),
    )


def board_policy(bucket: str = keys.MAIN_BUCKET) -> Policy:
    """Of the web server: reads what boards show, earlier states too, and nothing else."""
    files = [
        _board(name)
        for name in ("table.json", "leaderboard.html", "curves.json", "history.json", "activity.json")
    ]
    listing = _list(bucket, "boards/*", versions=True)
    return _policy(_allow(["GetObject", "GetObjectVersion"], bucket, *files), listing)


def publisher_policy(bucket: str = keys.MAIN_BUCKET, solutions: str = keys.SOLUTIONS_BUCKET) -> Policy:
    """The organizer's, for datasets."""
    return _policy(
        _allow(["GetObject", *_PUT], bucket, "data/*"),
        _list(bucket, "data/*"),
        _allow(_PUT, solutions, "solutions/*"),
    )


_EVIDENCE = ("runs/*", "scores/*", "reports/*", "ladders/*", "boards/*", "data/*", "code/*", "audit/*")


def auditor_policy(
    bucket: str = keys.MAIN_BUCKET,
    solutions: str = keys.SOLUTIONS_BUCKET,
    uploads: str = keys.UPLOADS_BUCKET,
) -> Policy:
    """The organizer's, for `alcove verify`, `alcove export`, `alcove usage` and `alcove prune`: reads what scores and
    boards are made of, solutions too, sees how much teams have uploaded, and changes nothing.
    """
    return _policy(
        _allow(["GetObject"], bucket, *_EVIDENCE),
        _list(bucket, *_EVIDENCE, versions=True),
        _allow(["GetObject"], solutions, "solutions/*"),
        _list(solutions),
        _list(uploads, f"{keys.BUNDLES}*", f"{keys.SHARED}*"),
    )


def team_policy(namespace: str, bucket: str = keys.MAIN_BUCKET, uploads: str = keys.UPLOADS_BUCKET) -> Policy:
    """Reads a team's own reports, and what teams offer each other. It writes nothing: teams upload by permits."""
    reports = f"{keys.team_reports(namespace)}*"
    return _policy(
        _allow(["GetObject"], bucket, reports),
        _list(bucket, reports),
        _allow(["GetObject"], uploads, f"{keys.SHARED}*"),
        _list(uploads, f"{keys.SHARED}*"),
    )


def session_credentials(
    parent: StoreCredentials,
    endpoint: str,
    region: str,
    policy: Policy,
    seconds: int,
    role: str = role_arn(RUN_ROLE),
    connections: PoolManager | None = None,
) -> StoreCredentials:
    """Credentials that do at most what ``policy`` says, for ``seconds``, within :data:`SHORTEST_SECONDS` and
    :data:`LONGEST_SECONDS`.

    ``endpoint``: of the store's STS. ``role``: ARN of the role that ``parent`` takes, where the store knows roles.
    ``connections``: by which the store is asked; by default by one of its own.

    Raises :class:`OperatorError` if the policy is too long, :class:`alcove_store.errors.StoreError` if the store fails.
    """
    provider = AssumeRoleProvider(
        sts_endpoint=endpoint,
        access_key=parent.access_key,
        secret_key=parent.secret_key,
        duration_seconds=min(max(seconds, SHORTEST_SECONDS), LONGEST_SECONDS),
        policy=_write_policy(policy),
        role_arn=role,
        role_session_name="alcove",
        region=region,
        http_client=connections or http_pool(),
    )
    try:
        with store_errors("short-lived credentials"):
            found = provider.retrieve()
    except ValueError as error:
        raise _explain_sts(error) from error
    return StoreCredentials(
        access_key=found.access_key,
        secret_key=found.secret_key,
        session_token=found.session_token,
        # The SDK keeps it in UTC and leaves that out.
        expires_at=found.expiration and found.expiration.replace(tzinfo=UTC),
    )


def _explain_sts(error: ValueError) -> StoreError:
    """How the SDK says that the answer was not 200. A store that is starting up answers 400, as to a bad request."""
    if str(error).endswith("403"):
        return StoreDeniedError(
            "The object store made no short-lived credentials: those that ask for them are refused.",
            consequence="No run starts, and nothing is scored.",
            remedy="Check the credentials of operator and scorer, and run the store's setup again.",
        )
    return StoreUnavailableError(
        "The object store made no short-lived credentials.",
        consequence="What needs them waits.",
        remedy="Try again.",
    )


def _write_policy(policy: Policy) -> str:
    text = json.dumps(policy, separators=(",", ":"))
    if len(text) > POLICY_LIMIT:
        raise OperatorError(
            f"A store policy of {len(text)} characters is longer than the {POLICY_LIMIT} allowed.",
            consequence="The Job that needs it gets no credentials.",
            remedy="Shorten what is in it: the name of the competition, or the alias of the dataset.",
        )
    return text
