"""What names, keys and hashes of a host look like: the same for the installer and for the agent."""

from __future__ import annotations

import re

HASH = re.compile(r"^\$(y|gy|7|2[aby]|6|5)\$[./A-Za-z0-9$=,-]{8,}$")
SSH_KEY = re.compile(
    r"^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh\.com|"
    r"sk-ecdsa-sha2-nistp256@openssh\.com) [A-Za-z0-9+/]{40,}={0,3}( [^\"'\\$`\n]*)?$"
)
HOSTNAME = re.compile(r"^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$")
ACCOUNT = re.compile(r"^[a-z_][a-z0-9_-]{0,31}$")
TAKEN = {"root", "daemon", "bin", "sys", "nobody", "asrbox", "incus", "incus-admin", "sshd", "sudo"}
