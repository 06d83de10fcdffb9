"""The table of attacks in docs/security.md: current, and every test that it names is there."""

from __future__ import annotations

import ast
from collections import Counter

import pytest

from tests.conformance.table import CLASSES, PAGE, list_elsewhere, list_rows, put_table
from tests.unit.docs.pages import REPOSITORY


def test_the_table_is_current() -> None:
    assert PAGE.read_text() == put_table(PAGE.read_text()), "run python -m tests.conformance.table"


def test_there_is_a_row_for_each_attack_and_no_two_alike() -> None:
    rows = list_rows()
    assert len(rows) >= 120
    assert {row.kind for row in rows} == CLASSES.keys()
    assert [row for row, count in Counter(rows).items() if count > 1] == []


@pytest.mark.parametrize("file", sorted({row.test.partition("::")[0] for row in list_elsewhere()}))
def test_every_test_that_it_names_is_there(file: str) -> None:
    tree = ast.parse((REPOSITORY / "tests" / file).read_text())
    there = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    named = {row.test.partition("::")[2] for row in list_elsewhere() if row.test.startswith(f"{file}::")}
    assert named - there == set()
