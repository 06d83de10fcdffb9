"""The variants that the API server checks leave no value of the chart out."""

from __future__ import annotations

from typing import Any

from tests.unit.helm.variants import untried, untried_of_the_chart


def test_every_value_has_a_variant() -> None:
    assert untried_of_the_chart() == []


def test_a_new_value_without_a_variant_is_found() -> None:
    schema: dict[str, Any] = {
        "definitions": {"port": {"properties": {"open": {"type": "boolean"}}}},
        "properties": {
            "mode": {"enum": ["a", "b", "c"]},
            "port": {"$ref": "#/definitions/port"},
            "size": {"type": "string"},
            "list": {"items": {"properties": {"kind": {"enum": ["x", "y"]}}}},
        },
    }
    defaults: dict[str, Any] = {"mode": "a", "port": {"open": False}, "size": "1Gi", "list": []}
    variants: dict[str, Any] = {"one": {"mode": "b"}, "two": {"list": [{"kind": "x"}]}}
    assert untried(variants, schema, defaults) == [
        "mode: c",
        "port.open: True",
        "size: another value",
        "list.[].kind: y",
    ]
    variants["three"] = {"mode": "c", "port": {"open": True}, "size": "2Gi", "list": [{"kind": "y"}]}
    assert untried(variants, schema, defaults) == []
