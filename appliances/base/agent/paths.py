"""Every path that the agent reads or writes, under one root (docs/architecture.md, "The installed host")."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ASRBOX_GID = 900  # group asrbox, the same number in every container
ENTRY_GID = 901  # group (and user) asrbox-entry of the host, as which nginx runs


@dataclass(frozen=True)
class Paths:
    """Paths of one host. `root` is `/` on a machine and a scratch folder in unit tests."""

    root: Path

    @classmethod
    def of_environment(cls) -> Paths:
        """Below the folder named by ASRBOX_ROOT, by default `/`."""
        return cls(Path(os.environ.get("ASRBOX_ROOT", "/")))

    @property
    def etc(self) -> Path:
        return self.root / "etc/asrbox"

    @property
    def plan(self) -> Path:
        """The plan as people have written it; `asrctl apply` brings it into force."""
        return self.etc / "plan.yaml"

    @property
    def seed(self) -> Path:
        return self.etc / "seed.toml"

    @property
    def var(self) -> Path:
        return self.root / "var/lib/asrbox"

    @property
    def images(self) -> Path:
        return self.var / "images"

    @property
    def distribution(self) -> Path:
        return self.images / "distribution.json"

    @property
    def image_list(self) -> Path:
        return self.images / "images.json"

    @property
    def secrets(self) -> Path:
        return self.var / "secrets"

    @property
    def tokens(self) -> Path:
        return self.secrets / "tokens"

    @property
    def ca(self) -> Path:
        return self.var / "ca"

    @property
    def outside_certificate(self) -> Path:
        """Key and chain that people have brought for the published pages, if they have."""
        return self.ca / "outside.pem"

    @property
    def client_authority(self) -> Path:
        """The CA for client certificates of published ports, and the list of what it has issued."""
        return self.ca / "clients"

    @property
    def entry(self) -> Path:
        """What nginx, the host's one TLS entry, reads: configuration, keys, pages."""
        return self.var / "entry"

    @property
    def entry_pages(self) -> Path:
        """What browsers see while an appliance does not answer."""
        return self.entry / "pages"

    @property
    def entry_state(self) -> Path:
        """Where nginx keeps what passes: long bodies."""
        return self.root / "var/lib/asrbox-entry"

    @property
    def acme(self) -> Path:
        """What the agent keeps for asking an authority for certificates (RFC 8555): accounts, an order, how it went."""
        return self.var / "acme"

    @property
    def acme_record(self) -> Path:
        """How the attempts went; while ACME is off there is none."""
        return self.acme / "record.json"

    @property
    def challenges(self) -> Path:
        """Answers to ACME's HTTP challenges; the entry serves them on port 80 as /.well-known/acme-challenge/."""
        return self.acme / "challenges"

    @property
    def runtime(self) -> Path:
        return self.var / "runtime"

    @property
    def state(self) -> Path:
        return self.var / "state"

    @property
    def operations(self) -> Path:
        return self.state / "operations"

    @property
    def plans(self) -> Path:
        """The plans that were applied; the newest is in force."""
        return self.state / "plans"

    @property
    def trial(self) -> Path:
        """Which plan was just brought into force, until it is known whether that went well."""
        return self.state / "plan-on-trial.json"

    @property
    def network_trial(self) -> Path:
        """Exists while a change of the host's network waits to be confirmed: what was before."""
        return self.state / "network-trial.json"

    @property
    def audit(self) -> Path:
        """The journal of what was done; never trimmed."""
        return self.var / "audit"

    @property
    def restarts(self) -> Path:
        """One file for each daemon that has to be restarted for a setting, `<appliance>.<daemon>`."""
        return self.state / "restarts"

    @property
    def alarms(self) -> Path:
        return self.state / "alarms.json"

    @property
    def first_boot(self) -> Path:
        """Exists once every enabled appliance was healthy for the first time."""
        return self.state / "first-boot.json"

    @property
    def password_changed(self) -> Path:
        """Exists once the administrator has changed the first password."""
        return self.state / "administrator-password-changed"

    @property
    def run(self) -> Path:
        return self.root / "run/asrbox"

    @property
    def socket(self) -> Path:
        return self.run / "agent.sock"

    @property
    def image_mount(self) -> Path:
        return self.run / "images"

    @property
    def held(self) -> Path:
        """What a person stopped by hand: lasts until it is started again or the machine reboots."""
        return self.run / "held.json"

    @property
    def safe_mode(self) -> Path:
        return self.run / "safe-mode.json"

    @property
    def issue(self) -> Path:
        return self.root / "run/issue.d/asrbox.issue"

    @property
    def console(self) -> Path:
        return self.root / "dev/console"
