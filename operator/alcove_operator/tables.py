"""A table of objects by name, with a map for each other way of looking them up, kept together in one place."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, MutableMapping
from typing import TypeVar

ObjectName = tuple[str, str]
"""(namespace, name)."""
Row = TypeVar("Row")


class Table(MutableMapping[ObjectName, Row]):
    """Rows by name, and by each of the keys that it was made with.

    ``Table(uid=lambda row: row.uid)`` gives :meth:`having` a map by ``uid``. Setting and deleting a row are the only
    two ways to change the table, and both bring every map up to date before they return.
    """

    def __init__(self, **keys: Callable[[Row], Hashable | None]) -> None:
        """``keys``: for each map what a row is found by; None leaves a row out of that map."""
        self._rows: dict[ObjectName, Row] = {}
        self._keys = keys
        self._maps: dict[str, dict[Hashable, dict[ObjectName, Row]]] = {key: {} for key in keys}

    def __getitem__(self, name: ObjectName) -> Row:
        return self._rows[name]

    def __setitem__(self, name: ObjectName, row: Row) -> None:
        self.pop(name, None)
        self._rows[name] = row
        for key, key_of in self._keys.items():
            value = key_of(row)
            if value is not None:
                self._maps[key].setdefault(value, {})[name] = row

    def __delitem__(self, name: ObjectName) -> None:
        row = self._rows.pop(name)
        for key, key_of in self._keys.items():
            value = key_of(row)
            if value is not None:
                found = self._maps[key][value]
                del found[name]
                if not found:
                    del self._maps[key][value]

    def __iter__(self) -> Iterator[ObjectName]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def having(self, key: str, value: Hashable) -> list[Row]:
        """The rows whose ``key`` is ``value``, in no promised order; in time proportional to their number."""
        return list(self._maps[key].get(value, {}).values())

    def names_having(self, key: str, value: Hashable) -> list[ObjectName]:
        """The names of :meth:`having`'s rows."""
        return list(self._maps[key].get(value, {}))

    def count_having(self, key: str, value: Hashable) -> int:
        """How many rows :meth:`having` would return; in constant time."""
        return len(self._maps[key].get(value, ()))
