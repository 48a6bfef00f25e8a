"""YAML with line numbers: plain data, and for every key the line on which a person wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from builder.errors import AsrboxError, ErrorList, Where

Key = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)


@dataclass
class YamlFile:
    """One parsed file: `data` as plain Python, `lines` from a key path to its line (counted from 1)."""

    path: Path
    data: Any
    lines: dict[Key, int] = field(default_factory=dict)

    def where(self, key: Key = ()) -> Where:
        """The place of a key; for a key that is not there (a missing one), its nearest parent."""
        known = key
        while known and known not in self.lines:
            known = known[:-1]
        return Where(self.path, self.lines.get(known, 1), ".".join(str(part) for part in key) or None)

    def error(self, message: str, key: Key = (), hint: str | None = None) -> AsrboxError:
        """An error that points at a key of this file."""
        return AsrboxError(message, hint=hint, where=self.where(key))


def read_yaml(path: Path) -> YamlFile:
    """Parse one YAML document. Raises AsrboxError for a missing file, broken YAML or a key given twice."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise AsrboxError("the file does not exist", where=Where(path)) from error
    except UnicodeDecodeError as error:
        raise AsrboxError("the file is not UTF-8 text", where=Where(path)) from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        said = " ".join(filter(None, [error.context, error.problem]))
        raise AsrboxError(
            f"this is not valid YAML: {said}", hint="check indentation and quotes", where=Where(path, line)
        ) from error
    result = YamlFile(path, None)
    if node is None:
        result.data = {}
        return result
    result.data = _plain(node, (), result)
    return result


def _plain(node: yaml.Node, key: Key, into: YamlFile) -> Any:
    into.lines.setdefault(key, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        mapping: dict[Any, Any] = {}
        for name_node, value_node in node.value:
            name = _scalar(name_node)
            below = (*key, name)
            line = name_node.start_mark.line + 1
            if name in mapping:
                raise AsrboxError(
                    f"the key is given twice (first on line {into.lines[below]})",
                    hint="keep one of them",
                    where=Where(into.path, line, ".".join(str(part) for part in below)),
                )
            into.lines[below] = line
            mapping[name] = _plain(value_node, below, into)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*key, index), into) for index, item in enumerate(node.value)]
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    return yaml.SafeLoader("").construct_object(node, deep=True)


def parse(file: YamlFile, model: type[M]) -> M:
    """The file as a typed model. Raises ErrorList with one exact error per mistake."""
    try:
        return model.model_validate(file.data)
    except ValidationError as failure:
        errors = [
            file.error(_sentence(problem), _location(problem["loc"]), _hint(problem, model))
            for problem in failure.errors(include_url=False)
        ]
        raise ErrorList(errors) from failure


def _location(loc: Sequence[str | int]) -> Key:
    return tuple(part for part in loc if part != "[key]")


def _sentence(problem: Any) -> str:
    kind, given = problem["type"], problem.get("input")
    if kind == "extra_forbidden":
        return "there is no such key"
    if kind == "missing":
        return "this key is required"
    if kind == "value_error":
        return str(problem["ctx"]["error"])
    return f"{problem['msg'][0].lower()}{problem['msg'][1:]}, not {given!r}"


def _hint(problem: Any, model: type[BaseModel]) -> str | None:
    if problem["type"] == "extra_forbidden":
        known = _known_keys(model, problem["loc"][:-1])
        return f"known keys: {', '.join(known)}" if known else "remove it"
    if problem["type"] == "missing":
        return f"add `{problem['loc'][-1]}:`"
    return None


def _known_keys(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """Names of the fields that are allowed at `loc`, by walking the JSON schema of the model."""
    schema = model.model_json_schema()
    here: dict[str, Any] = schema
    for part in loc:
        here = _resolve(here, schema)
        if isinstance(part, int):
            here = here.get("items", {})
        else:
            here = here.get("properties", {}).get(part) or here.get("additionalProperties") or {}
        if not isinstance(here, dict):
            return []
    return sorted(_resolve(here, schema).get("properties", {}))


def _resolve(part: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    for option in [part, *part.get("anyOf", [])]:
        if "$ref" in option:
            found: dict[str, Any] = schema["$defs"][option["$ref"].rsplit("/", 1)[1]]
            return found
    return part
