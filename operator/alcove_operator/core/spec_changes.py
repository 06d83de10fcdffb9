"""What differs between two specs of a Competition, in sentences, and who wrote it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alcove_api.change_documents import SpecChange

MOST_CHANGES, MOST_LETTERS = 500, 1000
_KEYS = {"phases": "name", "teams": "namespace"}
"""Lists whose entries are told apart by a field."""
UNKNOWN_AUTHOR = "unknown"


@dataclass(frozen=True)
class Difference:
    path: tuple[str, ...]
    """Of the field: ("phases", "practice", "closesAt"). An entry of a list without keys has the list's own path."""
    old: Any
    """None where it is new."""
    new: Any
    """None where it is gone."""


def find_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    """Of two specs as the API server has them, field by field in alphabetical order."""
    yield from _compare((), old, new)


def _compare(path: tuple[str, ...], old: Any, new: Any) -> Iterator[Difference]:
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted(old.keys() | new.keys()):
            yield from _compare((*path, name), old.get(name), new.get(name))
    elif isinstance(old, list | None) and isinstance(new, list | None) and path:
        yield from _compare_lists(path, old or [], new or [])
    else:
        yield Difference(path, old, new)


def _compare_lists(path: tuple[str, ...], old: list[Any], new: list[Any]) -> Iterator[Difference]:
    key = _KEYS.get(path[-1])
    if key is not None:
        was, now = ({entry[key]: entry for entry in entries} for entries in (old, new))
        for name in sorted(was.keys() | now.keys()):
            yield from _compare((*path, name), was.get(name), now.get(name))
        return
    yield from (Difference(path, entry, None) for entry in old if entry not in new)
    yield from (Difference(path, None, entry) for entry in new if entry not in old)


def describe_changes(
    old: Mapping[str, Any], new: Mapping[str, Any], managed_fields: Sequence[Mapping[str, Any]]
) -> tuple[SpecChange, ...]:
    """What differs between two specs, at most :data:`MOST_CHANGES`; ``managed_fields``: of the newer one's metadata."""
    found = list(find_differences(old, new))
    told = [_describe(difference, managed_fields) for difference in found[:MOST_CHANGES]]
    return tuple(told)


def _describe(difference: Difference, managed_fields: Sequence[Mapping[str, Any]]) -> SpecChange:
    kind, text = _put_into_words(difference)
    author, at = find_author(difference.path, managed_fields)
    return SpecChange(kind=kind, text=_cut(text), author=author, at=at)


def _put_into_words(difference: Difference) -> tuple[str, str]:
    """Kind and sentence."""
    path, old, new = difference.path, difference.old, difference.new
    entry = new if new is not None else old
    if path == ("excluded",) and isinstance(entry, Mapping):
        whom = _name(entry, f"the boards of {entry.get('phase') or 'all phases'}")
        return (
            ("Excluded", f"Left out of {whom}: {entry.get('reason')}")
            if new is not None
            else ("Reinstated", f"Put back on {whom}")
        )
    if path == ("cancelled",) and isinstance(entry, Mapping):
        runs = f"the run on {entry['dataset']}" if entry.get("dataset") else "the runs"
        whom = f"{runs} of {entry.get('team')}/{entry.get('submission')}"
        said = f"Stopped {whom}: {entry.get('reason')}"
        return ("RunsCancelled", said) if new is not None else ("SpecChanged", f"No longer listed: {said}")
    if path == ("extraSubmissions",) and isinstance(entry, Mapping):
        when = f" on {entry['day']}" if entry.get("day") else ""
        where = f" in {entry['phase']}" if entry.get("phase") else ""
        said = f"{entry.get('count')} more submissions of {entry.get('team')}{when}{where}: {entry.get('reason')}"
        return (
            ("QuotaGivenBack", f"Gave {said}") if new is not None else ("QuotaTakenBack", f"Took back {said}")
        )
    if len(path) == 3 and path[0] == "phases" and path[2] == "closesAt":
        later = new is None or (old is not None and str(new) > str(old))
        return (
            "PhaseExtended" if later else "PhaseShortened",
            f"The phase {path[1]} closes at {new or 'no time'}, not at {old or 'no time'}",
        )
    if old is None:
        return "SpecChanged", f"spec.{'.'.join(path)}: new, {_dump(new)}"
    if new is None:
        return "SpecChanged", f"spec.{'.'.join(path)}: gone, it was {_dump(old)}"
    return "SpecChanged", f"spec.{'.'.join(path)}: {_dump(new)}, it was {_dump(old)}"


def _name(entry: Mapping[str, Any], where: str) -> str:
    submission = f"/{entry['submission']}" if entry.get("submission") else ""
    return f"{where}: {entry.get('team')}{submission}"


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 1] + "…"


def find_author(
    path: Sequence[str], managed_fields: Sequence[Mapping[str, Any]]
) -> tuple[str, datetime | None]:
    """Who wrote that field last, and when, as ``metadata.managedFields`` say it.

    Nobody owns what is gone: of that, whoever wrote anything last.
    """
    writers = [entry for entry in managed_fields if not entry.get("subresource")]
    owners = [entry for entry in writers if _owns(entry.get("fieldsV1") or {}, path)]
    newest = max(owners or writers, key=lambda entry: str(entry.get("time") or ""), default=None)
    if newest is None:
        return UNKNOWN_AUTHOR, None
    at = newest.get("time")
    author = str(newest.get("manager") or UNKNOWN_AUTHOR)
    return author, datetime.fromisoformat(str(at).replace("Z", "+00:00")) if at else None


def _owns(fields: Mapping[str, Any], path: Sequence[str]) -> bool:
    inner: Any = fields.get("f:spec")
    before = ""
    for part in path:
        if not isinstance(inner, Mapping):
            return False
        key = _KEYS.get(before)
        name = f"k:{json.dumps({key: part}, separators=(',', ':'))}" if key else f"f:{part}"
        if name not in inner:
            return False
        inner, before = inner[name], part
    return True
