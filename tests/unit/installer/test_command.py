"""asrbox-install as a command: what a kickstart section leaves in its log."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_sentence_for_people_is_the_last_line_of_the_log(tmp_path: Path) -> None:
    """%pre writes standard output and error into one file, and its last line is what the console shows."""
    program = (
        "import sys; from appliances.base.installer import __main__ as command\n"
        "from appliances.base.installer.errors import InstallError\n"
        "def refuse():\n"
        "    print('$ lsblk'); raise InstallError('no disk was found', 'attach one', ['sda: too small'])\n"
        "sys.exit(command._told(refuse))\n"
    )
    log = tmp_path / "log"
    with log.open("wb") as sink:
        done = subprocess.run([sys.executable, "-c", program], stdout=sink, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 1
    assert log.read_text().splitlines() == ["$ lsblk", "sda: too small", "asrbox: no disk was found — attach one"]
