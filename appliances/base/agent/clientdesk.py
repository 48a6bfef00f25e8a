"""Client certificates as the API asks for them: what is issued or revoked stands in the journal of what was done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from appliances.base.agent import clientcerts
from appliances.base.agent.audit import Record
from appliances.base.agent.inforce import InForce
from appliances.base.agent.paths import Paths


class ClientDesk:
    """`record` writes the journal; `changed` is called when the entry has to refuse other certificates than before."""

    def __init__(self, paths: Paths, in_force: InForce, record: Record, changed: Callable[[], None]) -> None:
        self._paths = paths
        self._in_force = in_force
        self._record = record
        self._changed = changed

    def listed(self) -> list[dict[str, Any]]:
        """Those that this host has issued for published ports, the newest first."""
        return [one.model_dump() for one in self._all().listed()]

    def issue(self, name: str, days: int, author: str) -> dict[str, Any]:
        """A new one with its key, which is not kept. Raises AgentError."""
        bundle = self._all().issue(name, days, author)
        self._write_down("client issue", bundle.issued, author)
        return {**bundle.issued.model_dump(), **bundle.model_dump(exclude={"issued"})}

    def revoke(self, name: str, author: str) -> list[dict[str, Any]]:
        """Those of that name, or the one with that serial, are refused from the next round on. Raises AgentError."""
        revoked = self._all().revoke(name)
        for one in revoked:
            self._write_down("client revoke", one, author)
        self._changed()
        return [one.model_dump() for one in revoked]

    def _write_down(self, what: str, one: clientcerts.ClientCertificate, author: str) -> None:
        self._record(author, "certificate", "", what, {"name": one.name, "serial": one.serial, "ends": one.ends_at})

    def _all(self) -> clientcerts.ClientCertificates:
        return clientcerts.of_host(self._paths, self._in_force.shipped())
