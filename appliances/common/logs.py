"""Logs are JSON, one object per line on standard output: the journal keeps them, `asrctl logs` shows them."""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
import time
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, g, has_request_context, request

_REQUEST_ID = re.compile(r"[0-9A-Za-z-]{8,64}")


class JsonFormatter(logging.Formatter):
    """A log record as one line of JSON; whatever was given as `extra={"fields": {...}}` is in it by name."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if has_request_context() and "request_id" in g:
            line["request_id"] = g.request_id
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure() -> None:
    """Send every logger of this process to standard output as JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("urllib3").setLevel(logging.WARNING)


def install(app: Flask) -> None:
    """Give each request an id (taken over from a caller of ours, so that one id follows the whole way) and a line."""
    log = logging.getLogger(app.import_name)

    @app.before_request
    def begin() -> None:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        g.request_started = time.monotonic()

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.request_id
        person = g.get("person")
        quiet = response.status_code < 300 and (request.path == "/healthz" or g.get("quiet", False))
        log.log(
            logging.DEBUG if quiet else logging.INFO,
            "%s %s",
            request.method,
            request.path,
            extra={
                "fields": {
                    "method": request.method,
                    "path": request.path,
                    "status": response.status_code,
                    "ms": round((time.monotonic() - g.request_started) * 1000, 1),
                    "login": person.login if person else None,
                    "address": request.remote_addr,
                }
            },
        )
        return response
