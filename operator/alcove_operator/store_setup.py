"""``python -I -m alcove_operator.store_setup``: makes buckets, policies and users; any number of times.

Environment: ``ALCOVE_STORE_{ENDPOINT,REGION,BUCKET,SOLUTIONS_BUCKET,UPLOADS_BUCKET}``,
``ALCOVE_STORE_KIND`` (minio or seaweedfs), ``ALCOVE_STORE_ADMIN_{USER,PASSWORD}``, and
``ALCOVE_STORE_USERS``, a file ``{"users": [{"role", "access_key", "secret_key", "team"}]}`` in which ``role`` is
operator, scorer, aggregate, board, publisher, auditor or team, and ``team`` the namespace of one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from minio import Minio
from minio.commonconfig import ENABLED
from minio.credentials import StaticProvider
from minio.error import S3Error
from minio.versioningconfig import VersioningConfig
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from alcove_api import keys
from alcove_api.documents import StoreCredentials
from alcove_api.retry import retry
from alcove_operator import credentials
from alcove_operator.errors import OperatorError, SettingsError
from alcove_operator.store_users import StoreKind, store_users
from alcove_store.client import client, store_errors
from alcove_store.errors import StoreError

_PATIENCE = 120.0
"""Seconds that a store which is just starting is waited for."""


class User(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["operator", "scorer", "aggregate", "board", "publisher", "auditor", "team"]
    access_key: str
    secret_key: str
    team: str = ""
    """Namespace, of a team's user only."""

    @model_validator(mode="after")
    def _team_is_named(self) -> User:
        if (self.role == "team") != bool(self.team):
            raise ValueError("a team's user names its namespace, and no other user does")
        return self


class Users(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    users: tuple[User, ...]


@dataclass(frozen=True)
class Buckets:
    main: str = keys.MAIN_BUCKET
    solutions: str = keys.SOLUTIONS_BUCKET
    uploads: str = keys.UPLOADS_BUCKET

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Buckets:
        return cls(
            environment.get("ALCOVE_STORE_BUCKET", keys.MAIN_BUCKET),
            environment.get("ALCOVE_STORE_SOLUTIONS_BUCKET", keys.SOLUTIONS_BUCKET),
            environment.get("ALCOVE_STORE_UPLOADS_BUCKET", keys.UPLOADS_BUCKET),
        )


def policy_of(user: User, buckets: Buckets, kind: StoreKind = "minio") -> credentials.Policy:
    bucket, solutions, uploads = buckets.main, buckets.solutions, buckets.uploads
    match user.role:
        case "operator":
            return credentials.operator_policy(bucket, uploads, asks_minio=kind == "minio")
        case "scorer":
            return credentials.scorer_policy(bucket, solutions)
        case "aggregate":
            return credentials.aggregate_policy(bucket)
        case "board":
            return credentials.board_policy(bucket)
        case "publisher":
            return credentials.publisher_policy(bucket, solutions)
        case "auditor":
            return credentials.auditor_policy(bucket, solutions, uploads)
        case "team":
            return credentials.team_policy(user.team, bucket, uploads)


def make_plain_bucket(store: Minio, bucket: str, region: str) -> None:
    """A bucket without versions."""
    with store_errors(f"making the bucket {bucket}"):
        if not store.bucket_exists(bucket):
            store.make_bucket(bucket, region)


def make_bucket(store: Minio, bucket: str, region: str) -> None:
    """A versioned bucket, with object lock where the store offers it. One that is there is kept as it is."""
    with store_errors(f"making the bucket {bucket}"):
        if not store.bucket_exists(bucket):
            try:
                store.make_bucket(bucket, region, object_lock=True)
            except S3Error as error:
                if error.code not in ("NotImplemented", "InvalidRequest"):
                    raise
                store.make_bucket(bucket, region)
        if store.get_bucket_versioning(bucket).status != ENABLED:
            store.set_bucket_versioning(bucket, VersioningConfig(ENABLED))


def set_up(environment: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Raises :class:`SettingsError`, :class:`OperatorError` or :class:`StoreError`."""
    try:
        endpoint = environment["ALCOVE_STORE_ENDPOINT"]
        admin_user, password = (
            environment["ALCOVE_STORE_ADMIN_USER"],
            environment["ALCOVE_STORE_ADMIN_PASSWORD"],
        )
        users = Users.model_validate_json(Path(environment["ALCOVE_STORE_USERS"]).read_bytes())
    except (KeyError, OSError, ValidationError) as error:
        raise SettingsError(
            f"The environment of the store's setup is not complete ({type(error).__name__}): {error}.",
            consequence="The store was not set up.",
            remedy="The chart sets it; see the description of alcove_operator.store_setup.",
        ) from error
    region = environment.get("ALCOVE_STORE_REGION", "us-east-1")
    buckets = Buckets.from_environment(environment)
    kind = _read_kind(environment)
    store = client(endpoint, region, StaticProvider(admin_user, password))
    users_of_store = store_users(
        kind, endpoint, region, StoreCredentials(access_key=admin_user, secret_key=password)
    )
    _wait(store, say)
    for name in (buckets.main, buckets.solutions):
        make_bucket(store, name, region)
        say(f"bucket {name}")
    make_plain_bucket(store, buckets.uploads, region)
    say(f"bucket {buckets.uploads}")
    for user in users.users:
        credentials_of_user = StoreCredentials(access_key=user.access_key, secret_key=user.secret_key)
        users_of_store.make(credentials_of_user, policy_of(user, buckets, kind))
        say(f"user {user.access_key} ({user.role})")


def _read_kind(environment: Mapping[str, str]) -> StoreKind:
    name = environment.get("ALCOVE_STORE_KIND", "minio")
    for kind in ("minio", "seaweedfs"):
        if name == kind:
            return kind
    raise SettingsError(
        f"ALCOVE_STORE_KIND is {name!r}, and not one of {', '.join(get_args(StoreKind))}.",
        consequence="The store was not set up.",
        remedy="Set it to the store's kind, or leave it out for MinIO.",
    )


def _wait(store: Minio, say: Callable[[str], None]) -> None:
    def look() -> None:
        with store_errors("a first look at it"):
            store.list_buckets()

    retry(look, _PATIENCE, say)


def main() -> int:
    try:
        set_up(os.environ, lambda text: print(f"store-setup: {text}", flush=True))
    except (OperatorError, StoreError) as error:
        print(f"store-setup: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
