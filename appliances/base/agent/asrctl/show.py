"""What asrctl prints: plain tables that fit 80 columns and can be read without colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, two spaces between; no spaces at the end of a line."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


def status(found: dict[str, Any]) -> str:
    """The status of the host: one line for the whole, one per daemon under its appliance."""
    name, version = found["distribution"]["name"], found["distribution"]["version"]
    progress = found["progress"]
    head = f"{name} {version}: {found['phase']}"
    if found["phase"] in ("first-boot", "converging"):
        head += f", step {progress['done']} of {progress['total']}: {progress['text']}"
    rows = []
    for appliance in found["appliances"]:
        rows.append((appliance["name"], appliance["state"], _well(appliance), "", _detail(appliance)))
        for daemon in appliance["daemons"]:
            address = f"{daemon['address']}:{daemon['port']}"
            rows.append((f"  {daemon['name']}", daemon["state"], _well(daemon), address, ""))
            if daemon["address6"]:
                rows.append(("", "", "", f"[{daemon['address6']}]:{daemon['port']}", ""))
    body = table(("APPLIANCE", "STATE", "HEALTH", "ADDRESS", "DETAIL"), rows)
    error = f"\n\n{found['error']}" if found.get("error") else ""
    return f"{head}\n\n{body}{error}"


def checks(found: Sequence[dict[str, Any]]) -> str:
    """One line per check, `ok` or `FAILING` first."""
    return table(
        ("RESULT", "CHECK", "DETAIL"),
        [("ok" if one["ok"] else "FAILING", one["name"], one["detail"]) for one in found],
    )


def usage(found: Sequence[dict[str, Any]]) -> str:
    """The newest sample of each appliance beside its limits."""
    rows = []
    for one in found:
        limits, samples = one["limits"], one["samples"]
        if samples:
            last = samples[-1]
            used = (f"{last['memory'] >> 20} MiB", f"{last['cpu']:.2f}", str(last["processes"]))
        else:
            used = ("-", "-", "-")
        allowed = (f"of {limits['memory'] >> 20} MiB", f"of {limits['cpu']}", f"of {limits['processes']}")
        rows.append((one["name"], *(f"{use} {most}" for use, most in zip(used, allowed, strict=True))))
    return table(("APPLIANCE", "MEMORY", "PROCESSORS", "PROCESSES"), rows)


def alarms(found: dict[str, Any]) -> str:
    """What stands, who is told, and what does not get through."""
    rows = [(one["since"], one["name"], one["detail"]) for one in found["standing"]]
    told = ", ".join(found["channels"]) or "nobody (see: asrctl config base alarm_mail)"
    parts = [table(("SINCE", "ALARM", "DETAIL"), rows) if rows else "nothing is wrong", f"told: {told}"]
    parts += [f"does not get through by {name}: {why}" for name, why in found["trouble"].items()]
    if found["waiting"]:
        parts.append(f"waiting to be told: {found['waiting']}")
    return "\n".join(parts)


def operations(found: Sequence[dict[str, Any]]) -> str:
    """The newest operations first."""
    return table(
        ("STARTED", "ACTION", "TARGET", "BY", "STATUS"),
        [
            (one["started_at"], one["action"], one["target"], one["author"], one["error"] or one["status"])
            for one in found
        ],
    )


def audit(found: Sequence[dict[str, Any]]) -> str:
    """Entries of the journal of what was done, with the newest first."""
    if not found:
        return "nothing of that kind was done"
    rows = [
        (
            str(one["number"]),
            one["at"][:19].replace("T", " "),
            one["who"],
            f"{one['kind']}: {one['what']}",
            one["part"],
            one["result"],
            _differences(one["details"]),
        )
        for one in found
    ]
    return table(("ENTRY", "TIME (UTC)", "WHO", "WHAT", "PART", "RESULT", "DETAIL"), rows)


def host_network(found: dict[str, Any]) -> str:
    """The host's own network, and what is on trial."""
    if found["by_hand"]:
        return str(found["by_hand"])
    fixed = f"{found['address']}, gateway {found['gateway'] or 'none'}"
    card = found["interface"] or "all network cards"
    parts = [
        f"host name:     {found['hostname']}",
        f"address:       {'by DHCP' if found['method'] == 'dhcp' else fixed}, on {card}",
        f"name servers:  {', '.join(found['dns']) or 'as the network says'}",
        f"time servers:  {', '.join(found['time_servers']) or 'those of the distribution'}",
        f"network cards: {', '.join(one['name'] for one in found['cards']) or 'none'}",
    ]
    if found["trial"]:
        parts.append(f"on trial for {found['trial']['seconds']} more seconds. Keep it: asrctl host network confirm")
    if found["trouble"]:
        parts.append(f"the last change could not be tried: {found['trouble']}")
    return "\n".join(parts)


def host_people(found: Sequence[dict[str, Any]]) -> str:
    """Who may log in on the host, with a line for each further key."""
    rows: list[tuple[str, ...]] = []
    for one in found:
        rights = "administrator" if one["administrator"] else "-"
        state = "locked" if one["locked"] else "open"
        first, *more = one["keys"] or ["-"]
        rows.append((one["name"], rights, state, "yes" if one["password"] else "no", first))
        rows += [("", "", "", "", key) for key in more]
    return table(("LOGIN", "RIGHTS", "STATE", "PASSWORD", "KEYS"), rows) if rows else "nobody may log in"


def _differences(details: dict[str, Any]) -> str:
    """What changed in an entry, or why it failed."""
    if "error" in details:
        return str(details["error"])
    changed = details.get("settings", {})
    return ", ".join(f"{key}: {_value(one['before'])} → {_value(one['after'])}" for key, one in changed.items())


def plan(found: dict[str, Any]) -> str:
    """The plan in force, what the file says otherwise, and what that would do."""
    head = f"plan {found['number']} is in force since {found['applied_at']} (by {found['author']})"
    parts = [head]
    if found["drift"]:
        parts.append(_list("this host differs from it, and the agent is about to do:", found["drift"]))
    if found["error"]:
        parts.append(f"the plan file cannot be applied: {found['error']}")
    elif found["changes"]:
        parts.append(_list(f"{found['file']} says otherwise:", found["changes"]))
        if found["actions"]:
            parts.append(_list("which means:", found["actions"]))
        parts.append("bring it into force: asrctl apply\nforget it:           asrctl plan restore")
    else:
        parts.append(f"{found['file']} says the same")
    return "\n\n".join(parts)


def plans(found: Sequence[dict[str, Any]]) -> str:
    """The plans that were in force, the newest first."""
    rows = [(str(one["number"]), one["applied_at"], one["author"]) for one in found]
    return table(("PLAN", "APPLIED", "BY"), rows)


def settings(appliance: str, found: Sequence[dict[str, Any]]) -> str:
    """Settings of an appliance: value, default and what each is."""
    if not found:
        return f"{appliance} has no settings"
    rows = [(one["key"], _chosen(one), _named(one, one["default"]), one["title"]["en"]) for one in found]
    return table(("SETTING", "VALUE", "DEFAULT", "WHAT"), rows)


def setting(one: dict[str, Any]) -> str:
    """One setting with all that is known of it."""
    takes = {
        "bool": "yes or no",
        "choice": "one of: " + ", ".join(_named(one, value) for value in one["choices"]),
        "secret": "a text that is never shown; with - for VALUE it is asked for",
    }.get(one["kind"], "a text")
    if one["kind"] == "int":
        takes = f"a number from {one['minimum']} to {one['maximum']}"
    return (
        f"{one['key']} = {_chosen(one)}\n\n{one['title']['en']}. {one['help']['en']}\n"
        f"It takes {takes}; the default is {_named(one, one['default'])}."
    )


def certificate(found: dict[str, Any]) -> str:
    """Which certificate browsers see, and how it goes with ACME."""
    names, acme = ", ".join(found["names"]), found["acme"]
    if found["own"]:
        lines = ["Browsers see certificates that the CA of this host signs" + _until(found) + "."]
        if acme is None:
            lines.append("To bring another: asrctl certificate install. By ACME: asrctl config base acme_names NAME")
    else:
        how = {"brought": "brought", "acme": "obtained by ACME"}[found["way"]]
        day = found["since"][:10]
        lines = [f"Browsers see the certificate for {names}, {how} {day}, signed by {found['issuer']}{_until(found)}."]
    if acme is not None:
        lines.append(f"ACME is on: {acme['directory']} is asked for {', '.join(acme['names'])}.")
        if acme["operation"]:
            lines.append(f"It is being asked now (operation {acme['operation']}).")
        elif acme["error"]:
            when = f" {_minute(acme['failed_at'])}" if acme["failed_at"] else ""
            lines.append(f"It failed{when}: {acme['error']}")
        if acme["next_at"]:
            lines.append(f"Next attempt: {_minute(acme['next_at'])}. Now: asrctl certificate renew")
    return "\n".join(lines)


def _until(found: dict[str, Any]) -> str:
    return f", valid until {found['ends'][:10]}" if found["ends"] else ""


def _minute(moment: str) -> str:
    """A moment of the agent's, UTC, to the minute."""
    return f"{moment[:10]} {moment[11:16]} UTC"


def client_certificates(found: Sequence[dict[str, Any]]) -> str:
    """Client certificates that were issued, the newest first."""
    if not found:
        return "No client certificate was issued yet. To issue one: asrctl client-certificate issue NAME"
    rows = [
        (one["name"], one["serial"], one["issued_at"][:10], one["ends_at"][:10], (one["revoked_at"] or "-")[:10])
        for one in found
    ]
    return table(("NAME", "SERIAL", "ISSUED", "ENDS", "REVOKED"), rows)


def _chosen(one: dict[str, Any]) -> str:
    if one["kind"] == "secret":
        return "(stored)" if one["value"] else "(none)"
    return _named(one, one["value"])


def _named(one: dict[str, Any], value: object) -> str:
    """A value, and what people call it when it is one of a choice."""
    if isinstance(value, str) and value in one["choices"]:
        return f"{value} ({one['choices'][value]['en']})"
    return _value(value)


def _value(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _list(title: str, lines: Sequence[str]) -> str:
    return "\n".join([title, *(f"  {line}" for line in lines)])


def _well(one: dict[str, Any]) -> str:
    return "-" if one["health"] == "unknown" else str(one["health"])


def _detail(appliance: dict[str, Any]) -> str:
    return "" if appliance["health"] == "ok" else str(appliance["detail"])
