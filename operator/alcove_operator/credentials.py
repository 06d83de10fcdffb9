"""Short-lived credentials of one run, and the policies that say what every role may do in the object store.

The policies are pure functions; only :func:`session_credentials` talks to the store. A session's rights are the
intersection of its policy with its parent's, so the operator's own policy has to hold all that it hands on.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC
from typing import Any

from minio.credentials import AssumeRoleProvider

from alcove_api import keys
from alcove_api.documents import StoreCredentials
from alcove_operator.errors import OperatorError
from alcove_store.client import http_pool, store_errors
from alcove_store.errors import StoreDeniedError, StoreUnavailableError

Policy = dict[str, Any]

POLICY_LIMIT = 2048
"""Characters of a session policy, from the STS API."""
SHORTEST_SECONDS, LONGEST_SECONDS = 3600, 43200
"""A session's life, from the SDK at least, and at most from the STS API. (It would take 900.)"""
RUN_ROLE = "alcove-run"
"""What a session of a run is made from where a store knows roles. MinIO makes it from the user who asks."""
_ACCOUNT = "000000000000"


def _allow(actions: list[str], bucket: str, *patterns: str) -> Policy:
    return {
        "Effect": "Allow",
        "Action": [f"s3:{action}" for action in actions],
        "Resource": [f"arn:aws:s3:::{bucket}/{pattern}" for pattern in patterns],
    }


def _list(bucket: str, *patterns: str) -> Policy:
    statement: Policy = {
        "Effect": "Allow",
        "Action": ["s3:ListBucket"],
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


def run_role_arn() -> str:
    return f"arn:aws:iam::{_ACCOUNT}:role/{RUN_ROLE}"


def seaweedfs_configuration(operator: str, signing_key: bytes, bucket: str = keys.MAIN_BUCKET) -> Policy:
    """What SeaweedFS reads when it starts: who may hand on credentials of runs, and what those can do at most.

    ``operator`` is the name of the operator's user, ``signing_key`` 32 random bytes that tokens are signed with.
    Nothing is allowed that no policy allows.
    """
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{_ACCOUNT}:user/{operator}"},
        "Action": ["sts:AssumeRole"],
    }
    return {
        "sts": {
            "tokenDuration": "1h",
            "maxSessionLength": f"{LONGEST_SECONDS // 3600}h",
            "issuer": "alcove",
            "signingKey": base64.b64encode(signing_key).decode(),
        },
        "policy": {"defaultEffect": "Deny", "storeType": "memory"},
        "roles": [
            {
                "roleName": RUN_ROLE,
                "roleArn": run_role_arn(),
                "trustPolicy": _policy(trust),
                "attachedPolicies": [RUN_ROLE],
                "maxSessionDuration": LONGEST_SECONDS,
            }
        ],
        "policies": [{"name": RUN_ROLE, "document": run_role_policy(bucket)}],
    }


def operator_policy(
    bucket: str = keys.MAIN_BUCKET, uploads: str = keys.UPLOADS_BUCKET, *, asks_minio: bool = True
) -> Policy:
    """What it does itself, and what it hands on to runs and, as permits, to teams. No solutions.

    With ``asks_minio`` also how full the store is (:mod:`alcove_operator.store_usage`), which reads no object. Other
    stores do not know that right, and refuse a whole policy for it.
    """
    usage: list[Policy] = [
        {"Effect": "Allow", "Action": ["s3:GetBucketLocation"], "Resource": [f"arn:aws:s3:::{bucket}"]},
        {"Effect": "Allow", "Action": ["admin:ServerInfo"]},
    ]
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
            "boards/*/*/request-*.json",
            _board("counted.json"),
            _board("activity.json"),
        ),
        _list(bucket, "runs/*", "scores/*", "boards/*", "audit/*", "notifications/*"),
        _allow(["GetObject", "PutObject", "DeleteObject"], uploads, "*"),
        _list(uploads),
        *(usage if asks_minio else []),
    )


def scorer_policy(bucket: str = keys.MAIN_BUCKET, solutions: str = keys.SOLUTIONS_BUCKET) -> Policy:
    """Reads runs beside solutions, and of boards the nameless curves; writes scores, ladders, and the manifest of a run
    whose recorder could not.
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
    listing = _list(bucket, "boards/*")
    listing["Action"].append("s3:ListBucketVersions")
    return _policy(_allow(["GetObject", "GetObjectVersion"], bucket, *files), listing)


def publisher_policy(bucket: str = keys.MAIN_BUCKET, solutions: str = keys.SOLUTIONS_BUCKET) -> Policy:
    """The organizer's, for datasets."""
    return _policy(
        _allow(["GetObject", *_PUT], bucket, "data/*"),
        _list(bucket, "data/*"),
        _allow(_PUT, solutions, "solutions/*"),
    )


def auditor_policy(bucket: str = keys.MAIN_BUCKET, solutions: str = keys.SOLUTIONS_BUCKET) -> Policy:
    """The organizer's, for `alcove verify` and `alcove export`: reads what scores and boards are made of, solutions
    too, and changes nothing.
    """
    evidence = ("runs/*", "scores/*", "reports/*", "ladders/*", "boards/*", "data/*", "code/*", "audit/*")
    return _policy(
        _allow(["GetObject"], bucket, *evidence),
        _list(bucket, *evidence),
        _allow(["GetObject"], solutions, "solutions/*"),
        _list(solutions),
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
    parent: StoreCredentials, endpoint: str, region: str, policy: Policy, seconds: int
) -> StoreCredentials:
    """Credentials that do at most what ``policy`` says, for ``seconds``, within :data:`SHORTEST_SECONDS` and
    :data:`LONGEST_SECONDS`.

    Raises :class:`OperatorError` if the policy is too long, :class:`alcove_store.errors.StoreError` if the store fails.
    """
    text = json.dumps(policy, separators=(",", ":"))
    if len(text) > POLICY_LIMIT:
        raise OperatorError(
            f"A store policy of {len(text)} characters is longer than the {POLICY_LIMIT} allowed.",
            consequence="The run gets no credentials.",
            remedy="Give the dataset a shorter alias.",
        )
    provider = AssumeRoleProvider(
        sts_endpoint=endpoint,
        access_key=parent.access_key,
        secret_key=parent.secret_key,
        duration_seconds=min(max(seconds, SHORTEST_SECONDS), LONGEST_SECONDS),
        policy=text,
        role_arn=run_role_arn(),
        role_session_name=RUN_ROLE,
        region=region,
        http_client=http_pool(),
    )
    try:
        with store_errors("short-lived credentials"):
            found = provider.retrieve()
    # How the SDK says that the answer was not 200. A store that is starting up answers 400, as to a bad request.
    except ValueError as error:
        if str(error).endswith("403"):
            raise StoreDeniedError(
                "The object store made no short-lived credentials: the operator's own are refused.",
                consequence="Runs cannot start.",
                remedy="Check the operator's credentials, and run the store's setup again.",
            ) from error
        raise StoreUnavailableError(
            "The object store made no short-lived credentials.",
            consequence="Runs wait.",
            remedy="Try again.",
        ) from error
    return StoreCredentials(
        access_key=found.access_key,
        secret_key=found.secret_key,
        session_token=found.session_token,
        # The SDK keeps it in UTC and leaves that out.
        expires_at=found.expiration and found.expiration.replace(tzinfo=UTC),
    )
