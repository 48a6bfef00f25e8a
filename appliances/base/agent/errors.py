"""The agent's one error type: which appliance, at which step, what is wrong, what to do."""

from __future__ import annotations

import errno


class AgentError(Exception):
    """Something the agent could not do.

    `appliance` is the appliance it concerns (None: the host as a whole), `step` a few words naming what was tried,
    `message` one sentence, `hint` what a person can do about it.
    """

    def __init__(self, message: str, *, appliance: str | None = None, step: str = "", hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.appliance = appliance
        self.step = step
        self.hint = hint

    def sentence(self) -> str:
        """The error as one line, for consoles and states: `auth: start: … (hint)`."""
        parts = [part for part in (self.appliance, self.step) if part]
        text = ": ".join([*parts, self.message])
        return f"{text} ({self.hint})" if self.hint else text

    def __str__(self) -> str:
        return self.sentence()


def of_disk(error: OSError) -> AgentError:
    """A disk that is full or takes no writes, in the agent's words. Any other error of the system is raised again."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO):
        raise error
    where = f"{error.filename}: " if error.filename else ""
    return AgentError(
        f"{where}{error.strerror or error}",
        step="write on this host's disk",
        hint="look at: asrctl check, df -h /var/lib/asrbox; it then goes on by itself",
    )


class WrongSettings(AgentError):
    """Values that settings do not take; `fields` is setting → what it takes."""

    def __init__(self, fields: dict[str, str], *, appliance: str) -> None:
        super().__init__("; ".join(fields.values()), appliance=appliance)
        self.fields = fields


class UnknownName(AgentError):
    """Somebody named an appliance or daemon that this distribution does not have."""
