"""warehouse: an appliance that only the tests know, as small as one can be."""

from __future__ import annotations

from flask import Flask

from appliances.common.app import make_app
from appliances.common.settings import Settings


def create_app() -> Flask:
    """The app: it has no pages of its own, and is well as long as it runs."""
    settings = Settings.load()
    return make_app("appliances.warehouse", settings, sections=[], checks={"shelves": lambda: "3 shelves"})
