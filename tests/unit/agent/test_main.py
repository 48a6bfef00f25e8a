"""The agent as a process: what nobody foresaw ends it, so that systemd starts it again."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import threading
from appliances.base.agent import agent

class Broken:
    def __init__(self, *_):
        threading.Thread(target=threading.Event().wait).start()  # as those of the API

    def run(self):
        raise LookupError("nobody foresaw this")

agent.os.geteuid = lambda: 0
agent.Agent = Broken
agent.main()
"""


def test_an_unforeseen_error_ends_the_process_though_threads_live_on() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], timeout=30, check=False, stderr=subprocess.PIPE, text=True)
    assert ended.returncode == 1
    assert "LookupError: nobody foresaw this" in ended.stderr
