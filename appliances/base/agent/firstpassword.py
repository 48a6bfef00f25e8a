"""The administrator's first password: people are shown it until auth says that it was changed."""

from __future__ import annotations

from appliances.base.agent import files, secretstore
from appliances.base.agent.board import Board
from appliances.base.agent.distribution import Distribution
from appliances.base.agent.errors import AgentError
from appliances.base.agent.incus import Incus
from appliances.base.agent.paths import Paths

# Made by auth on its volume when the administrator has changed the first password.
PASSWORD_CHANGED = "/var/lib/asrbox/data/administrator-password-changed"  # noqa: S105


class FirstPassword:
    """Asks auth in its container. That it was changed is kept in a file, and not asked again."""

    def __init__(self, paths: Paths, incus: Incus, board: Board) -> None:
        self._paths = paths
        self._incus = incus
        self._board = board

    def read(self, shipped: Distribution, *, ask: bool = True) -> str | None:
        """The password; None once auth says (when asked, or has said) that it was changed."""
        marker = self._paths.password_changed
        owners = [one for one in shipped.appliances if secretstore.ADMINISTRATOR in one.secrets]
        if not owners or marker.exists():
            return None
        owner = owners[0]
        status = self._board.appliance(owner.name)
        if ask and status is not None and status.state == "running" and self._changed(owner.name, owner.instance):
            files.write(marker, "")
            return None
        return secretstore.once(self._paths.secrets / owner.name / secretstore.ADMINISTRATOR, readable=True)

    def _changed(self, appliance: str, instance: str) -> bool:
        """What the container says; one that does not answer has not said so."""
        command = ["test", "-e", PASSWORD_CHANGED]
        try:
            ran = self._incus.run(instance, command, appliance=appliance, step="ask for the password's state")
        except AgentError:
            return False
        return ran.code == 0
