"""What is in force on this host: the distribution as it was shipped, under the plan that was applied last."""

from __future__ import annotations

from typing import Any

from appliances.base.agent import secretstore
from appliances.base.agent.applied import Applied, PlanStore
from appliances.base.agent.distribution import Appliance, Distribution, load_distribution
from appliances.base.agent.hostnet import Any46Network
from appliances.base.agent.paths import Paths


class InForce:
    """Read anew at each question, by any thread. Everything here raises AgentError for files that cannot be read."""

    def __init__(self, paths: Paths, plans: PlanStore) -> None:
        self._paths = paths
        self._plans = plans

    def shipped(self) -> Distribution:
        """The distribution as the ISO brought it."""
        return load_distribution(self._paths.distribution)

    def applied(self, shipped: Distribution) -> Applied:
        """The plan in force over it."""
        return self._plans.current(shipped)

    def distribution(self) -> Distribution:
        """The distribution as the plan in force wants it."""
        shipped = self.shipped()
        return self.applied(shipped).plan.wanted(shipped)

    def target(self, target: str) -> Appliance:
        """The appliance of `<appliance>[.<daemon>]`. Raises UnknownName when either does not exist."""
        name, _, daemon = target.partition(".")
        appliance = self.shipped().appliance(name)
        if daemon:
            appliance.daemon(daemon)
        return appliance

    def instances(self) -> dict[str, str]:
        """Appliance → its container."""
        return {one.name: one.instance for one in self.shipped().appliances}

    def networks(self) -> tuple[list[Any46Network], str]:
        """Networks of the appliances, also one that is not in use yet, and their bridge."""
        network = self.shipped().network
        return [network.range, *([network.range6] if network.range6 else [])], network.bridge

    def settings_with(self, key: str) -> dict[str, Any]:
        """The settings of the appliance that declares this one, with its secrets; none when nobody declares it."""
        shipped = self.shipped()
        for appliance in shipped.appliances:
            if any(one.key == key for one in appliance.settings):
                planned = self.applied(shipped).plan.settings(appliance)
                return {**planned, **secretstore.entered(self._paths.secrets, appliance, planned)}
        return {}
