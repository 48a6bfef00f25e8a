"""pip with the index of this machine, and without its extra indices and link folders, which nobody else has."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from builder.run import run

GLIBC = (41, 39, 36, 35, 34, 31, 28, 27, 26, 24, 17)  # manylinux tags that Debian 13 can run, newest first
_KEPT = ("index-url", "cert", "client-cert", "proxy", "trusted-host", "timeout")


def run_pip(arguments: Sequence[str | Path], env: Mapping[str, str] | None = None) -> None:
    """Run pip of the running interpreter, configured by nothing but the settings in `_KEPT`. Raises AsrboxError."""
    clean = {f"PIP_{key.upper().replace('-', '_')}": value for key, value in _settings().items()}
    clean |= {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    run(
        [sys.executable, "-m", "pip", *arguments],
        env={**clean, **(env or {})},
        hint="is the name right, and does the package index answer? what pip is told: pip config list",
    )


def platform_options(python: str) -> list[str]:
    """Choose wheels for x86_64 Linux with that CPython ("3.13"), whatever machine this is."""
    names = [*(f"manylinux_2_{minor}_x86_64" for minor in GLIBC), "manylinux2014_x86_64", "linux_x86_64"]
    return [f"--python-version={python}", "--implementation=cp", *(f"--platform={name}" for name in names)]


def _settings() -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    lines = run([sys.executable, "-m", "pip", "config", "list"], env=env).stdout.splitlines()
    settings: dict[str, str] = {}
    for line in sorted(lines, key=lambda line: line.startswith(":env:")):  # the environment has the last word
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        if name in _KEPT:
            settings[name] = value.strip("'\"")
    return settings
