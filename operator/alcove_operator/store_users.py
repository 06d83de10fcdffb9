"""How each kind of store makes a user with a policy; called by :mod:`alcove_operator.store_setup`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree

import urllib3
from minio import MinioAdmin
from minio.credentials import Credentials, StaticProvider
from minio.error import MinioAdminException
from minio.signer import sign_v4_sts

from alcove_api.documents import StoreCredentials
from alcove_operator.credentials import Policy
from alcove_operator.errors import OperatorError
from alcove_store.client import http_pool, store_errors

StoreKind = Literal["minio", "seaweedfs"]


class StoreUsers(Protocol):
    def make(self, user: StoreCredentials, policy: Policy) -> None:
        """The user, with exactly this policy. Its secret and its policy are replaced where they differ.

        Raises :class:`OperatorError` if the store refuses, :class:`alcove_store.errors.StoreError` if it is away.
        """


def store_users(kind: StoreKind, endpoint: str, region: str, root: StoreCredentials) -> StoreUsers:
    return (MinioUsers if kind == "minio" else IamUsers)(endpoint, region, root)


def _refused(user: str, reason: object) -> OperatorError:
    return OperatorError(
        f"The store did not make the user {user}: {reason}.",
        consequence="Whoever needs it cannot reach the store.",
        remedy="Check the store's root credentials; the hook can be run again.",
    )


@dataclass(frozen=True)
class MinioUsers:
    """By MinIO's own administration interface."""

    endpoint: str
    region: str
    root: StoreCredentials

    def make(self, user: StoreCredentials, policy: Policy) -> None:
        url = urlsplit(self.endpoint)
        admin = MinioAdmin(
            endpoint=url.netloc,
            credentials=StaticProvider(self.root.access_key, self.root.secret_key),
            region=self.region,
            secure=url.scheme == "https",
            http_client=http_pool(retries=5),
        )
        name = user.access_key
        try:
            with store_errors(f"making the user {name}"):
                # The policy first: a user never exists without its bounds.
                admin.policy_add(policy_name=name, policy=policy)
                admin.user_add(name, user.secret_key)
                admin.policy_set(policy_name=name, user=name)
        except MinioAdminException as error:
            raise _refused(name, error) from error


@dataclass(frozen=True)
class IamUsers:
    """By the IAM interface of AWS, as SeaweedFS has it: there, whoever makes an access key chooses it."""

    endpoint: str
    region: str
    root: StoreCredentials

    def make(self, user: StoreCredentials, policy: Policy) -> None:
        name = user.access_key
        self._ask("CreateUser", name, UserName=name)
        # The key last: a user never acts without its bounds.
        self._ask(
            "PutUserPolicy", name, UserName=name, PolicyName="alcove", PolicyDocument=json.dumps(policy)
        )
        # No server tells a secret, and a key that is made anew is refused for a moment: so only where it must be.
        if not self._is_known(user):
            key = {"UserName": name, "AccessKeyId": user.access_key}
            self._ask("DeleteAccessKey", name, **key)
            self._ask("CreateAccessKey", name, **key, SecretAccessKey=user.secret_key)

    def _is_known(self, user: StoreCredentials) -> bool:
        """Whether the store takes these credentials."""
        answer = self._send(user, {"Action": "GetCallerIdentity", "Version": "2011-06-15"})
        return bool(answer.status == 200)

    def _ask(self, action: str, name: str, **parameters: str) -> None:
        """One request of the root user. That something is there already is no failure."""
        answer = self._send(self.root, {"Action": action, "Version": "2010-05-08", **parameters})
        if answer.status == 200:
            return
        code = _error_code(answer.data)
        if (action, code) != ("CreateUser", "EntityAlreadyExists"):
            raise _refused(name, f"{action} was answered with {answer.status} {code}")

    def _send(self, who: StoreCredentials, form: dict[str, str]) -> urllib3.BaseHTTPResponse:
        body = urlencode(form)
        url = urlsplit(self.endpoint)
        now, digest = datetime.now(UTC), hashlib.sha256(body.encode()).hexdigest()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Host": url.netloc,
            "X-Amz-Date": now.strftime("%Y%m%dT%H%M%SZ"),
        }
        # SeaweedFS takes IAM's requests at its one address, and by the signature of either service.
        signed = sign_v4_sts(
            method="POST",
            url=urlsplit(f"{self.endpoint}/"),
            region=self.region,
            headers=headers,
            credentials=Credentials(who.access_key, who.secret_key),
            content_sha256=digest,
            date=now,
        )
        with store_errors(f"making the user {who.access_key}"):
            return http_pool(retries=5).request("POST", f"{self.endpoint}/", body=body, headers=signed)


def _error_code(body: bytes) -> str:
    """``Code`` of an answer in XML, or a word for its absence."""
    try:
        found = ElementTree.fromstring(body).findtext(".//{*}Code")
    except ElementTree.ParseError:
        found = None
    return found or "without a code"
