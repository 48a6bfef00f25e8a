"""docs/manifest.md, written from the models: what each key means, its type, its default."""

from __future__ import annotations

from typing import Any

from builder.manifest import MODELS

HEAD = """# Manifests

Every key of every YAML file. This page is generated from `builder/manifest.py` by `make docs`; do not edit it.
The same as JSON Schema: `asrbox schema`.
"""


def manual() -> str:
    """The whole page as Markdown."""
    parts = [HEAD]
    for pattern, model in MODELS.items():
        schema = model.model_json_schema()
        parts.append(f"## `{pattern}`\n\n{schema['description']}\n\n{_table(schema, schema)}")
        used = _used(schema, schema)
        parts += [
            f"### {name}\n\n{schema['$defs'][name]['description']}\n\n{_table(schema['$defs'][name], schema)}"
            for name in used
        ]
    return "\n".join(parts)


def _table(part: dict[str, Any], whole: dict[str, Any]) -> str:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    required = set(part.get("required", []))
    for key, entry in part.get("properties", {}).items():
        default = "required" if key in required else f"`{entry.get('default')}`"
        rows.append(f"| `{key}` | {_type(entry)} | {default} | {entry.get('description', '')} |")
    return "\n".join(rows) + "\n"


def _type(entry: dict[str, Any]) -> str:
    if "$ref" in entry:
        name = entry["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in entry:
        return " or ".join(_type(option) for option in entry["anyOf"])
    if "const" in entry:
        return f"`{entry['const']}`"
    if "enum" in entry:
        return " \\| ".join(f"`{value}`" for value in entry["enum"])
    if entry.get("type") == "array":
        return f"list of {_type(entry.get('items', {}))}"
    if entry.get("type") == "object":
        below = entry.get("additionalProperties")
        return f"name → {_type(below)}" if isinstance(below, dict) else "mapping"
    if entry.get("examples"):
        return f"size, such as `{entry['examples'][0]}`"
    return {"string": "text", "integer": "number", "null": "nothing", "boolean": "yes/no"}.get(
        entry.get("type", ""), "any"
    )


def _used(part: dict[str, Any], whole: dict[str, Any]) -> list[str]:
    found: list[str] = []

    def visit(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                name = node["$ref"].rsplit("/", 1)[1]
                if name not in found:
                    found.append(name)
                    visit(whole["$defs"][name])
            for key, value in node.items():
                if key != "$defs":
                    visit(value)
        elif isinstance(node, list):
            for value in node:
                visit(value)

    visit(part)
    return found
