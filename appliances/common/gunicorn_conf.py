"""gunicorn's configuration in every appliance: `gunicorn --config python:appliances.common.gunicorn_conf …`.

The environment comes from /etc/asrbox/daemons/<daemon>.env: ASRBOX_DAEMON, ASRBOX_ADDRESS, ASRBOX_PORT, and
ASRBOX_ADDRESS6 where IPv6 is on.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliances.common import sse

_directory = Path(os.environ.get("ASRBOX_CONFIG") or "/etc/asrbox")
_tls = _directory / "tls" / os.environ["ASRBOX_DAEMON"]
_given = json.loads((_directory / "appliance.json").read_text(encoding="utf-8"))
_addresses = [os.environ["ASRBOX_ADDRESS"], *os.environ.get("ASRBOX_ADDRESS6", "").split()]

bind = [f"{f'[{one}]' if ':' in one else one}:{os.environ['ASRBOX_PORT']}" for one in _addresses]
certfile = f"{_tls}.crt"
keyfile = f"{_tls}.key"

# One process: the cache of introspections, the locks of SQLite and the health checks are per process.
workers = 1
worker_class = "gthread"
# Whoever consumes the agent passes on its streams, and each of them keeps a thread: so they get threads of their own
# (made when first needed), and 8 are always left for pages.
threads = 8 + (sse.THREADS if "agent.host" in _given["endpoints"] else 0)
timeout = 30  # of the process as a whole: a thread may take as long as it likes
graceful_timeout = 10
keepalive = 5
worker_tmp_dir = "/dev/shm"  # the heartbeat file must not wait for a disk
control_socket_disable = True  # systemd starts and stops; nothing else should be able to

forwarded_allow_ips = ""  # what the entry says is believed by appliances/common/forwarded.py, not here
accesslog = None  # the app writes one JSON line per request itself
logconfig_dict: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"class": "appliances.common.logs.JsonFormatter"}},
    "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}},
    "root": {"level": "INFO", "handlers": ["out"]},
    "loggers": {"gunicorn.error": {"level": "INFO", "handlers": ["out"], "propagate": False}},
}


def post_worker_init(worker: Any) -> None:
    """Streams end when the process is told to stop; it would otherwise wait for them until it is killed."""
    sse.stop_when(lambda: not worker.alive)


def ssl_context(config: Any, default_ssl_context_factory: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """TLS 1.2 and newer only."""
    context = default_ssl_context_factory()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
