"""The streams and terminals of the agent, as the control panel asks for them."""

from __future__ import annotations

from appliances.common.client import EndpointClient, Stream

TYPING = 15.0  # seconds: a program that is busy may let what is typed wait


class Upstream:
    """The agent of this host, over its endpoint. Every call raises EndpointError; whoever opens a stream closes it."""

    def __init__(self, client: EndpointClient) -> None:
        self._client = client

    def follow(self, appliance: str, daemon: str | None, cursor: str | None) -> Stream:
        """Lines as they come: events `line` {line, severity}, with a cursor as id."""
        given = {"daemon": daemon, "cursor": cursor}
        params: dict[str, str | int] = {name: value for name, value in given.items() if value}
        return self._client.stream("appliances", appliance, "logs", "stream", params=params)

    def events(self) -> Stream:
        """What changes: events `status`, `operation`, `alarms`."""
        return self._client.stream("events")

    def open(self, appliance: str, size: tuple[int, int]) -> str:
        """Open a root shell for the person who asks. Returns its id."""
        order = {"columns": size[0], "rows": size[1]}
        return str(self._client.post("appliances", appliance, "terminals", json=order)["id"])

    def output(self, identity: str, offset: int) -> Stream:
        """What a terminal writes, from this byte on."""
        return self._client.stream("terminals", identity, "output", params={"offset": offset})

    def enter(self, identity: str, data: str) -> None:
        self._client.post("terminals", identity, "input", json={"data": data}, read_timeout=TYPING)

    def resize(self, identity: str, columns: int, rows: int) -> None:
        self._client.post("terminals", identity, "size", json={"columns": columns, "rows": rows})

    def end(self, identity: str) -> None:
        self._client.delete("terminals", identity)
