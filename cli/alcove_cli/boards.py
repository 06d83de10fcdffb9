"""The Leaderboards of a competition, which publish its rules: teams may read them, and not the Competition."""

from __future__ import annotations

from alcove_cli.errors import CommandError
from alcove_cli.options import parse_competition
from alcove_kube.client import KubeClient, Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import LEADERBOARDS


def read_boards(kube: KubeClient, competition: str, consequence: str = "") -> list[Object]:
    """One a phase, as the API server has them; at least one.

    Args:
        competition: NAMESPACE/NAME, or the name alone where both are the same.
        consequence: of an error, for people.

    Raises:
        CommandError: there is no such competition, or the kubeconfig's account may not see it.
    """
    namespace, name = parse_competition(competition)
    try:
        boards = kube.find_all(LEADERBOARDS, namespace)
    except ApiError as error:
        if error.status != 403:
            raise
        raise CommandError(
            f"You may not see any competition in the namespace {namespace}.",
            consequence=consequence,
            remedy="Give NAMESPACE/NAME of the one that your team takes part in.",
        ) from error
    found = [board for board in boards if board["spec"]["competition"] == name]
    if not found:
        known = sorted({f"{namespace}/{board['spec']['competition']}" for board in boards})
        there = f" It has {', '.join(known)}." if known else ""
        raise CommandError(
            f"There is no competition {name} in the namespace {namespace}.{there}",
            consequence=consequence,
            remedy="Give NAMESPACE/NAME of the one that you mean.",
        )
    return found
