"""JSON bodies of API calls, checked by a pydantic model and refused with the exact field."""

from __future__ import annotations

from typing import TypeVar

from flask import request
from pydantic import BaseModel, ValidationError

from appliances.common.failures import Problem
from appliances.common.i18n import gettext as _

Model = TypeVar("Model", bound=BaseModel)


def json_body(model: type[Model]) -> Model:
    """The body of this request as `model`. Raises Problem: 415 other type, 400 not JSON, 422 with `errors`."""
    if not request.is_json:
        raise Problem(415, _("JSON is expected"), _("Send it as “Content-Type: application/json”."))
    try:
        return model.model_validate_json(request.get_data())
    except ValidationError as error:
        found = [{"field": ".".join(map(str, one["loc"])), "message": one["msg"]} for one in error.errors()]
        if error.errors()[0]["type"] == "json_invalid":
            raise Problem(400, _("The body is not JSON"), found[0]["message"]) from error
        raise Problem(422, _("Some values are wrong"), errors=found) from error
