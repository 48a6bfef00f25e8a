"""Preparing the host for its containers: what they are told, Incus, the firewall, the agent's API for them."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

from cheroot import wsgi
from flask import Flask

from appliances.base.agent import abilities, ca, files, firewall, preseed, routes, runtime, server, tokens
from appliances.base.agent.distribution import AGENT_ENDPOINT, AGENT_PORT, Distribution
from appliances.base.agent.incus import Incus
from appliances.base.agent.instances import HostAbilities
from appliances.base.agent.intent import Intent
from appliances.base.agent.outside import Outside
from appliances.base.agent.paths import Paths

INCUS_START = 120.0  # seconds for the container daemon to come up


class HostSetup:
    """Done anew each round; changes only what differs. `say` hears what was done, `tls_app` makes the API's app."""

    def __init__(
        self, paths: Paths, incus: Incus, say: Callable[[str], None], tls_app: Callable[[tokens.Verifier], Flask]
    ) -> None:
        self._paths = paths
        self._incus = incus
        self._say = say
        self._tls_app = tls_app
        self._tls: dict[str, wsgi.Server] = {}
        self._firewall = firewall.Firewall()
        self.abilities: HostAbilities | None = None  # None until Incus has answered once

    def write_runtime(self, intent: Intent, seen: Outside) -> tuple[runtime.Renderer, dict[str, set[str]]]:
        """Secrets, CA, tokens, runtime folders; returns the renderer and the renewed daemons by appliance."""
        paths, shipped = self._paths, intent.distribution
        for folder in (paths.var, paths.runtime):
            files.folder(folder, mode=0o711)
        files.folder(paths.state, mode=0o700)
        released = datetime.date.fromisoformat(shipped.released)
        title = f"{shipped.title['en']} CA of {seen.hostname}"
        authority = ca.Authority(paths.ca, title, released, datetime.datetime.now(datetime.UTC))
        known = tokens.ensure_all(paths.tokens, shipped)
        renderer = runtime.Renderer(paths, shipped, authority, known, self._owner_base())
        renewed = {one.name: renderer.render(one, intent.plan.settings(one)) for one in shipped.appliances}
        return renderer, renewed

    def set_up_incus(self, intent: Intent, renderer: runtime.Renderer) -> None:
        """Storage, bridge, firewall, and the API at the bridge. Raises AgentError."""
        described = self._incus.wait_ready(INCUS_START)
        if self.abilities is None:
            self.abilities = abilities.probe(described)
            if not self.abilities.shifts_mounts:
                renderer.owner_base = self._owner_base()
                for one in intent.distribution.appliances:
                    renderer.render(one, intent.plan.settings(one))
        if self._incus.pool(preseed.POOL) is None:
            storage = preseed.choose_storage(intent.distribution)
        else:
            storage = self._existing_storage(intent.distribution)
        if self._incus.network(intent.distribution.network.bridge) is None:
            for reach in routes.ranges(intent.distribution.network):
                routes.refuse_overlap(reach, intent.distribution.network.bridge)
        for done in preseed.apply(self._incus, preseed.desired(intent.distribution, storage)):
            self._say(done)
        if self.abilities.filters_frames and self._firewall.ensure(firewall.rules(intent.distribution)):
            self._say("loaded the firewall between the containers")
        self._serve_tls(intent.distribution, renderer)

    def _owner_base(self) -> int:
        """First host id of the containers' id map, where the kernel cannot shift owners; else 0."""
        if self.abilities is None or self.abilities.shifts_mounts:
            return 0
        return id_base(Path("/etc/subuid"))

    def _existing_storage(self, shipped: Distribution) -> preseed.Storage:
        """The storage that the pool was made of: it is not chosen anew when a volume group appears later."""
        pool = self._incus.pool(preseed.POOL)
        driver = pool["driver"] if pool else None
        return preseed.choose_storage(shipped, driver if driver in ("lvm", "btrfs") else None)

    def _serve_tls(self, shipped: Distribution, renderer: runtime.Renderer) -> None:
        network = shipped.network
        certificate, key = self._paths.ca / "agent.crt", self._paths.ca / "agent.key"
        addresses = [str(address) for address in (network.host, network.host6) if address is not None]
        subject = ca.subject_of([f"{AGENT_ENDPOINT}.{network.domain}"], addresses)
        renewed = renderer.authority.ensure(certificate, key, subject, gone=network.gone6)
        for address in [address for address in self._tls if address not in addresses]:
            self._tls.pop(address).stop()
        for address in addresses:
            if address not in self._tls:
                app = self._tls_app(tokens.Verifier(renderer.service_tokens))
                self._tls[address] = server.serve_tls(app, address, AGENT_PORT, certificate, key)
            elif renewed:
                server.renew(self._tls[address], certificate, key)


def id_base(subuid: Path) -> int:
    """First host id that the container daemon gives to containers: root's largest range in /etc/subuid."""
    ranges = []
    if subuid.exists():
        for line in subuid.read_text().splitlines():
            owner, _, numbers = line.partition(":")
            if owner == "root" and numbers.replace(":", "").isdigit():
                first, count = numbers.split(":")
                ranges.append((int(count), int(first)))
    return max(ranges)[1] if ranges else 1_000_000
