"""Holds what was said to an OpenAPI file: every request, every answer.

LINE's files name the kinds of an object by a discriminator whose kinds in turn include
the base, a circle that a JSON Schema validator would not follow: `_untangle` makes of
each base a choice among its kinds. Beyond the schemas, `unknown_fields` finds what
they do not forbid: names the file does not have.
"""

import copy
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import yaml
from openapi_schema_validator import OAS30Validator, oas30_format_checker
from referencing import Registry
from referencing.jsonschema import DRAFT4

HOME = "urn:file"
REF = "#/components/schemas/"
METHODS = ("get", "post", "put", "delete")  # a path may have a `servers` beside them
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Operation:
    """One call of a file."""

    file: "File"
    name: str
    method: str
    pattern: re.Pattern[str]
    content: dict[str, Any]

    def request_errors(self, exchange):
        """What is wrong with a request, in words."""
        found = self._parameter_errors(exchange)
        body = self.content.get("requestBody")
        if body is None:
            return found + (["has a body"] if exchange.body else [])
        kind = exchange.headers.get("Content-Type", "").partition(";")[0]
        if not exchange.body and not body.get("required"):
            return found
        if kind not in body["content"]:
            return [*found, f"content type {kind!r}"]
        value = _read(exchange.body, kind)
        return found + self.file.errors(value, body["content"][kind]["schema"])

    def answer_errors(self, exchange, unlisted):
        """What is wrong with an answer; `unlisted` statuses are errors as all are."""
        listed = self.content["responses"].get(str(exchange.status))
        if listed is None:
            if not unlisted(self.name, exchange.status):
                return [f"status {exchange.status} is not in the file"]
            schema = {"$ref": REF + "ErrorResponse"}
        elif "content" not in listed:
            return [] if exchange.answer in (b"", b"{}") else ["an answer, not empty"]
        else:
            schema = listed["content"][JSON]["schema"]
        return self.file.errors(_read(exchange.answer, JSON), schema)

    def _parameter_errors(self, exchange):
        sent = parse_qs(exchange.query, keep_blank_values=True)
        known = {p["name"]: p for p in self._parameters("query")}
        found = [f"query {name!r} is unknown" for name in sent.keys() - known.keys()]
        for name, parameter in known.items():
            if name not in sent:
                found += [f"query {name!r} is missing"] if parameter["required"] else []
            else:
                value = _typed(sent[name], parameter["schema"])
                found += self.file.errors(value, parameter["schema"])
        headers = {p["name"].lower() for p in self._parameters("header")}
        if "X-Line-Retry-Key" in exchange.headers and "x-line-retry-key" not in headers:
            found.append("the retry key is unknown here")
        return found

    def _parameters(self, place):
        return [p for p in self.content.get("parameters", []) if p["in"] == place]


class File:
    """An OpenAPI 3.0 file and its operations."""

    def __init__(self, path: Path):
        self._plain = yaml.safe_load(path.read_text())
        untangled = _untangle(self._plain)
        resource = DRAFT4.create_resource(untangled)
        self._registry = Registry().with_resource(HOME, resource)
        self._schemas = self._plain["components"]["schemas"]
        self.operations = [
            Operation(self, content["operationId"], method, _pattern(path), content)
            for path, methods in self._plain["paths"].items()
            for method, content in methods.items()
            if method in METHODS
        ]

    def errors(self, value, schema):
        """What is wrong with a value, in words."""
        validator = OAS30Validator(
            _at_home(schema),
            registry=self._registry,
            format_checker=oas30_format_checker,
        )
        wrong = [
            f"{error.json_path}: {error.message}"[:300]
            for error in validator.iter_errors(value)
        ]
        return wrong or [f"{name} is unknown" for name in self.unknown(value, schema)]

    def unknown(self, value, schema, where="$"):
        """Names in `value` that the file does not have there."""
        schema = self._resolved(schema)
        if isinstance(value, list) and "items" in schema:
            return [
                name
                for place, item in enumerate(value)
                for name in self.unknown(item, schema["items"], f"{where}[{place}]")
            ]
        if not isinstance(value, dict) or "oneOf" in schema:
            return []
        known = self._properties(schema, value)
        if not known:
            return []  # anything goes, or it is not described
        found = [f"{where}.{name}" for name in value.keys() - known.keys()]
        for name in value.keys() & known.keys():
            found += self.unknown(value[name], known[name], f"{where}.{name}")
        return found

    def _properties(self, schema, value):
        """The properties of an object, with those of its kind."""
        schema = self._resolved(schema)
        found = dict(schema.get("properties", {}))
        for part in schema.get("allOf", []):
            found |= self._own(part)
        kinds = schema.get("discriminator", {})
        name = kinds.get("mapping", {}).get(value.get(kinds.get("propertyName")))
        return found | self._own({"$ref": name}) if name else found

    def _own(self, schema):
        schema = self._resolved(schema)
        found = dict(schema.get("properties", {}))
        for part in schema.get("allOf", []):
            found |= self._own(part)
        return found

    def _resolved(self, schema):
        if "$ref" not in schema:
            return schema
        return self._schemas[schema["$ref"].removeprefix(REF)]


def _pattern(path):
    return re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path))


def _read(raw, kind):
    return dict(parse_qsl(raw.decode())) if kind == FORM else json.loads(raw)


def _typed(values, schema):
    """The words of a query as the type that the file gives them."""
    if schema["type"] == "array":
        return values
    if schema["type"] == "integer" and re.fullmatch(r"-?\d+", values[0]):
        return int(values[0])
    return values[0]


def _at_home(schema):
    """The schema with its references into the file."""
    text = json.dumps(schema).replace(f'"{REF}', f'"{HOME}{REF}')
    return json.loads(text)


def _untangle(document):
    """The file with each base that names its kinds as a choice among them."""
    made = copy.deepcopy(document)
    schemas = made["components"]["schemas"]
    for name, schema in list(schemas.items()):
        kinds = schema.get("discriminator", {}).get("mapping")
        if not kinds:
            continue
        base = {k: v for k, v in schema.items() if k != "discriminator"}
        schemas[f"{name}.base"] = base
        field = schema["discriminator"]["propertyName"]
        schemas[name] = {
            "anyOf": [_kind(field, word, ref) for word, ref in kinds.items()]
        }
        for ref in kinds.values():
            for part in schemas[ref.removeprefix(REF)].get("allOf", []):
                if part.get("$ref") == REF + name:
                    part["$ref"] = f"{REF}{name}.base"
    return made


def _kind(field, word, ref):
    """Objects that say they are of this kind, and are."""
    says = {"required": [field], "properties": {field: {"enum": [word]}}}
    return {"allOf": [says, {"$ref": ref}]}
