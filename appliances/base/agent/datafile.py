"""Files that the builder writes and the agent reads: how strict they are, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from appliances.base.agent.errors import AgentError

Bytes = Annotated[int, Field(gt=0)]


class Model(BaseModel):
    # Types are strict; keys that a newer builder adds for somebody else are not the agent's business.
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


_M = TypeVar("_M", bound=Model)


def load(model: type[_M], path: Path) -> _M:
    """Read a file. Raises AgentError with file and key when it is missing or wrong."""
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise AgentError(f"{path} is missing", hint="the installer puts it there; install again") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise AgentError(f"{path}: {key or 'JSON'}: {first['msg']}") from error
