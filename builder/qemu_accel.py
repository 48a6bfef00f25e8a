"""KVM or TCG: a /dev/kvm that exists proves nothing, so a kernel is booted on it before it is trusted."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

from builder import log
from builder.errors import AsrboxError
from builder.qemu_hardware import Accel
from builder.run import run

KVM = Path("/dev/kvm")
PROBE_LIMIT = 20.0  # seconds; a working KVM needs one or two
# Without an initrd a kernel starts everything it has and then stops exactly here.
PROOF = "not syncing: VFS: Unable to mount root fs"
KERNEL_ON_MEDIUM = "/images/pxeboot/vmlinuz"


def choose(wanted: Literal["auto", "kvm", "tcg"], iso: Path | None) -> Accel:
    """The accelerator to use; for `auto` and `kvm` the kernel of `iso` is booted first.

    `auto` falls back to TCG and says why. Raises AsrboxError for `kvm` where KVM is refused.
    """
    if wanted == "tcg":
        return "tcg"
    refusal = refused(iso)
    if refusal is None:
        return "kvm"
    if wanted == "kvm":
        raise AsrboxError(f"KVM cannot be used: {refusal}", hint="use --accel tcg: slower, but it works everywhere")
    log.info(f"KVM is not used: {refusal}")
    return "tcg"


def refused(iso: Path | None, *, device: Path = KVM, qemu: str = "qemu-system-x86_64") -> str | None:
    """Why KVM cannot be used, or None when a kernel really boots on it."""
    if not device.exists():
        return f"{device} does not exist"
    if not os.access(device, os.R_OK | os.W_OK):
        return f"{device} may not be opened by this user (add them to the group kvm)"
    if iso is None:
        return "there is no ISO whose kernel could be booted to try it"
    with tempfile.TemporaryDirectory(prefix="asrbox-kvm-") as folder:
        kernel = Path(folder) / "vmlinuz"
        command: list[str | Path] = ["xorriso", "-osirrox", "on", "-indev", iso, "-extract", KERNEL_ON_MEDIUM, kernel]
        run(command, hint="run `asrbox verify` on the ISO")
        return _try_boot(kernel, qemu)


def _try_boot(kernel: Path, qemu: str) -> str | None:
    command = [qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"]
    command += ["-accel", "kvm", "-cpu", "host", "-m", "512", "-smp", "2"]
    command += ["-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"]
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=PROBE_LIMIT, check=False
        )
    except subprocess.TimeoutExpired as error:
        said = _last_line(error.stdout or b"") or "not a word"
        return f"/dev/kvm exists, but a kernel did not boot on it within {PROBE_LIMIT:.0f} s (it printed: {said})"
    except FileNotFoundError as error:
        raise AsrboxError(f"the program {qemu} is not installed", hint="run: make deps") from error
    if PROOF in done.stdout.decode(errors="replace"):
        return None
    said = _last_line(done.stderr) or _last_line(done.stdout) or "not a word"
    end = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    return f"/dev/kvm exists, but QEMU ended with {end} when a kernel was booted on it (it printed: {said})"


def _last_line(output: bytes) -> str:
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""
