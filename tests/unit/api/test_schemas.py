"""The schemas that are made from the models: structural, bounded, and readable with `kubectl explain`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from alcove_api.base import Kind
from alcove_api.schema import KINDS, definition, structural

REPOSITORY = Path(__file__).parents[3]
EVERY_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def _fields(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from _fields(child, f"{path}.{name}")
    if "items" in schema:
        yield f"{path}[]", schema["items"]
        yield from _fields(schema["items"], f"{path}[]")


def _schema(kind: Kind) -> dict[str, Any]:
    schema: dict[str, Any] = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


@EVERY_KIND
def test_every_field_of_a_spec_is_explained(kind: Kind) -> None:
    spec = _schema(kind)["properties"]["spec"]
    silent = [
        path
        for path, field in _fields(spec, "spec")
        if not path.endswith("[]") and not field.get("description")
    ]
    assert silent == []
    assert spec["description"]


@EVERY_KIND
def test_every_string_and_list_is_bounded(kind: Kind) -> None:
    for path, field in _fields(_schema(kind), kind.name):
        if path.split(".")[1] in ("apiVersion", "kind", "metadata"):
            continue
        bounded = "enum" in field or field.get("format") == "date-time"
        if field.get("type") == "string":
            assert bounded or "maxLength" in field, path
        if field.get("type") == "array":
            assert "maxItems" in field, path


@EVERY_KIND
def test_nothing_is_left_that_a_structural_schema_may_not_hold(kind: Kind) -> None:
    for path, field in _fields(_schema(kind), kind.name):
        assert not {"$ref", "anyOf", "const", "exclusiveMinimum", "additionalProperties", "title"} & set(
            field
        ), path
        assert "type" in field, path


def test_a_union_that_is_no_optional_field_is_an_error() -> None:
    with pytest.raises(ValueError, match="union"):
        structural({"anyOf": [{"type": "string"}, {"type": "integer"}]})


@EVERY_KIND
def test_the_committed_yaml_is_what_the_models_say(kind: Kind) -> None:
    written = yaml.safe_load((REPOSITORY / "crds" / f"{kind.plural}.yaml").read_text())
    assert written == definition(kind)


@pytest.mark.parametrize("image", ["operator", "recorder", "scorer"])
def test_only_the_ingestion_image_holds_tensorflow(image: str) -> None:
    lock = (REPOSITORY / "locks" / f"{image}.txt").read_text()
    assert "\ntensorflow" not in f"\n{lock}"
    assert "\ntensorflow" in "\n" + (REPOSITORY / "locks" / "ingestion.txt").read_text()
