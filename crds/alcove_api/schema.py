"""Turns pydantic's JSON schema into a structural schema, the stricter form that an API server accepts."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from alcove_api.base import GROUP, VERSION, Kind
from alcove_api.competition import COMPETITION
from alcove_api.dataset import DATASET
from alcove_api.leaderboard import LEADERBOARD
from alcove_api.submission import SUBMISSION
from alcove_api.team_usage import TEAM_USAGE

KINDS = (COMPETITION, DATASET, SUBMISSION, LEADERBOARD, TEAM_USAGE)

Schema = dict[str, Any]
DIGEST_ANNOTATION = f"{GROUP}/schema-digest"
# Unknown fields are pruned by the server, and refused by kubectl's strict validation, without this keyword,
# which a structural schema may not have beside "properties".
_DROPPED = {"title", "$defs", "additionalProperties", "discriminator"}


def structural(schema: Schema, definitions: dict[str, Schema] | None = None) -> Schema:
    """The same schema without references, unions with null, const or numeric exclusive bounds.

    Raises:
        ValueError: the schema holds a union other than "or null", which no structural schema can express.
    """
    definitions = {**(definitions or {}), **schema.get("$defs", {})}
    if "$ref" in schema or "anyOf" in schema:
        return structural(_resolved(schema, definitions), definitions)
    result = _rewritten(schema)
    if "properties" in result:
        result["properties"] = {
            name: structural(child, definitions) for name, child in result["properties"].items()
        }
    if "items" in result:
        result["items"] = structural(result["items"], definitions)
    return result


def _resolved(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """What a reference, or a union with null, stands for."""
    if "$ref" in schema:
        target = definitions[schema["$ref"].rsplit("/", 1)[1]]
        return {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
    options = [option for option in schema["anyOf"] if option.get("type") != "null"]
    if len(options) != 1:
        raise ValueError(f"no structural schema for the union {schema['anyOf']}")
    return {**options[0], **{k: v for k, v in schema.items() if k not in ("anyOf", "default")}}


def _rewritten(schema: Schema) -> Schema:
    """The schema's own keywords, without its children's, as a structural schema writes them."""
    result = {k: v for k, v in schema.items() if k not in _DROPPED}
    if "exclusiveMinimum" in result:
        raise ValueError("use an inclusive minimum: exclusiveMinimum is a boolean in a structural schema")
    if "default" in result:
        # The server refuses a default that its own schema does, and absent is what null means.
        result["default"] = _without_nulls(result["default"])
    if "const" in result:
        result["enum"] = [result.pop("const")]
    if result.get("type") == "string" and result.get("format") == "date-time":
        result.pop("maxLength", None)
    if "description" in result:
        result["description"] = " ".join(result["description"].split())
    return result


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(child) for key, child in value.items() if child is not None}
    return value


def definition(kind: Kind) -> Schema:
    """The CustomResourceDefinition of ``kind``."""
    spec = structural(kind.spec.model_json_schema(by_alias=True))
    status = structural(kind.status.model_json_schema(by_alias=True))
    spec.setdefault("description", f"What is asked for: see the fields of {kind.name}.")
    status["description"] = "What the operator has seen; nobody else writes it."
    # A default in a status would be filled in by the server and fight with the operator's own writes.
    _drop_defaults(status)
    schema = {
        "type": "object",
        "description": kind.description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
    }
    content = {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {
            "kind": kind.name,
            "listKind": f"{kind.name}List",
            "plural": kind.plural,
            "singular": kind.name.lower(),
            "shortNames": list(kind.short_names),
            "categories": ["alcove"],
        },
        "versions": [_version(kind, schema)],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": kind.crd_name,
            "annotations": {
                # Results must outlive an uninstall of the chart.
                "helm.sh/resource-policy": "keep",
                # Tells the chart whether the definition in a cluster is this one: the server adds defaults to it.
                DIGEST_ANNOTATION: hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[
                    :16
                ],
            },
        },
        "spec": content,
    }


def _version(kind: Kind, schema: Schema) -> Schema:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            {"name": c.name, "type": c.type, "jsonPath": c.path}
            | ({"description": c.description} if c.description else {})
            | ({"priority": c.priority} if c.priority else {})
            for c in kind.columns
        ],
        "schema": {"openAPIV3Schema": schema},
    }


def _drop_defaults(schema: Schema) -> None:
    schema.pop("default", None)
    schema.pop("required", None) if "conditions" in schema.get("properties", {}) else None
    for child in schema.get("properties", {}).values():
        _drop_defaults(child)
    if "items" in schema:
        _drop_defaults(schema["items"])
