"""Manifests: what is right resolves to addresses, what is wrong is refused with file, line, key and remedy."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from builder.errors import AsrboxError
from builder.manifest import format_size, json_schema, parse_size
from builder.reference import manual
from builder.resolve import Project, load
from builder.show import table

from .conftest import ROOT

DISTRO = "distro/asrbox.yaml"
BILLING = "appliances/asr_billing/appliance.yaml"
BASE = "appliances/base/appliance.yaml"


def spoil(project: Project, file: str, old: str, new: str) -> int:
    """Put `new` in the place of `old`; returns the number of the line where it begins."""
    path = project.root / file
    text = path.read_text()
    assert text.count(old) >= 1, f"{file} has no {old!r} to spoil"
    path.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


# file, what stands there, what a mistake makes of it, the exact message (without the folder; {+n} is the number of the
# n-th line after the one where the mistake begins)
MISTAKES = [
    (DISTRO, "base: debian-13", "base: debian-99",
     "asrbox.yaml:{+0}: base: there is no base 'debian-99'\n"
     "  hint: known bases: centos-stream-10, centos-stream-9, debian-13"),
    (DISTRO, "  auth: 2", "  warehouse: 2",
     "asrbox.yaml:{+0}: appliances.warehouse: there is no appliance 'warehouse': appliances/warehouse/appliance.yaml"
     " does not exist\n  hint: known appliances: asr_billing, auth, base"),
    (DISTRO, "  auth: 2", "  auth: 1",
     "asrbox.yaml:{+0}: appliances.auth: block 1 belongs to base already\n"
     "  hint: give each appliance a block of its own"),
    (DISTRO, "  auth: 2", "  auth: 16",
     "asrbox.yaml:{+0}: appliances.auth: block 16 is outside the network plan 198.18.80.0/20, which has blocks 1 to 15"
     "\n  hint: take a smaller number or a larger network.range"),
    (DISTRO, "  auth: 2", "  auth: two",
     "asrbox.yaml:{+0}: appliances.auth: input should be a valid integer, not 'two'"),
    (DISTRO, "  root_size: 6GiB", "  root_size: 6 gigs",
     "asrbox.yaml:{+0}: install.root_size: a size such as 512MiB or 4GiB is expected, not '6 gigs'"),
    (DISTRO, "  range: 198.18.80.0/20", "  range: 198.18.80.1/20",
     "asrbox.yaml:{+0}: network.range: 198.18.80.1/20 has host bits set"),
    (DISTRO, "  range6: fd34:ed37:338c::/56", "  range6: fd34:ed37:338c::1/56",
     "asrbox.yaml:{+0}: network.range6: fd34:ed37:338c::1/56 has host bits set"),
    (DISTRO, "  range6: fd34:ed37:338c::/56", "  range6: fd34:ed37:338c::/64",
     "asrbox.yaml:{+0}: network.range6: the range needs room for at least two /64 blocks: /56 or so, not /64"),
    (DISTRO, "  range6: fd34:ed37:338c::/56", "  range6: 198.18.0.0/15",
     "asrbox.yaml:{+0}: network.range6: '198.18.0.0/15' is not an IPv6 network such as fd12:3456:789a::/56"),
    (DISTRO, "  range6: fd34:ed37:338c::/56", "  range6: fd34:ed37:338c::/63",
     "asrbox.yaml:{+6}: appliances.auth: block 2 is outside the IPv6 range fd34:ed37:338c::/63, which has blocks 1 to 1"
     "\n  hint: take a smaller number or a larger network.range6"),
    (DISTRO, "  range6: fd34:ed37:338c::/56", "  range6: fe80::/56",
     "asrbox.yaml:{+0}: network.range6: fe80::/56 is neither unique-local (fd00::/8) nor global unicast (2000::/3)\n"
     "  hint: take a /56 of fd00::/8 with 40 random bits after the fd (RFC 4193), or one of your own"),
    (DISTRO, "  range6: fd34:ed37:338c::/56", "  range6: 2001:db8:1::/56",
     "asrbox.yaml:{+0}: network.range6: 2001:db8:1::/56 is kept for documentation (RFC 3849, RFC 9637)\n"
     "  hint: take a /56 of fd00::/8 with 40 random bits after the fd (RFC 4193), or one of your own"),
    (DISTRO, "install:", "instal:",
     "asrbox.yaml:{+0}: instal: there is no such key\n"
     "  hint: known keys: appliances, base, distribution, install, network, released, title, version"),
    (DISTRO, "title: {en: asrbox, ru: asrbox}", "title: {en: asrbox",
     "asrbox.yaml:{+2}: this is not valid YAML: while parsing a flow mapping expected ',' or '}', but got ':'\n"
     "  hint: check indentation and quotes"),
    (DISTRO, "base: debian-13", "base: debian-13\nbase: debian-13",
     "asrbox.yaml:{+1}: base: the key is given twice (first on line 5)\n  hint: keep one of them"),
    (BILLING, "    address: 3", "    address: 198.18.99.3",
     "appliance.yaml:{+0}: daemons.web.address: the address '198.18.99.3' is outside the network plan: asr_billing owns"
     " 198.18.83.0/24\n  hint: write a host number from 1 to 254 or an address inside 198.18.83.0/24"),
    (BILLING, "    address: 3\n    port: 443", "    address: 2\n    port: 3050",
     "appliance.yaml:{+0}: daemons.web.address: 198.18.83.2:3050 belongs to firebird.asr_billing already\n"
     "  hint: take another address or port"),
    (BILLING, "    publish: {path: /billing}", "    publish: {path: /auth}",
     "appliance.yaml:{+0}: daemons.web.publish.path: path /auth of the host publishes web.auth already\n"
     "  hint: take another path"),
    (BILLING, "    publish: {path: /billing}", "    publish: 8442",
     "appliance.yaml:{+0}: daemons.web.publish: a path or a port is expected, {path: /name} or {port: 8442}, not 8442"),
    (BILLING, "    publish: {path: /billing}", "    publish: {port: 8443}",
     "appliance.yaml:{+0}: daemons.web.publish.port: port 8443 of the host belongs to the agent\n"
     "  hint: take another port"),
    (BILLING, "    publish: {path: /billing}", "    publish: {path: /a/b}",
     "appliance.yaml:{+0}: daemons.web.publish.path: string should match pattern"),
    (BILLING, "    publish: {path: /billing}", "    publish: {path: /billing, port: 9443}",
     "appliance.yaml:{+0}: daemons.web.publish: a daemon is published by either `path` or `port`"),
    (BILLING, "    publish: {path: /billing}", "    publish: {path: /billing, client_certificate: required}",
     "appliance.yaml:{+0}: daemons.web.publish: client certificates need a `port`: all that have a `path` share one"),
    (BILLING, "    critical: true", "    publish: {port: 3050}\n    critical: true",
     "appliance.yaml:{+0}: daemons.firebird.publish: the entry speaks https and http to a daemon, not tcp\n"
     "  hint: remove it, or let the daemon speak https"),
    (BILLING, "    after: [firebird]", "    after: [postgres]",
     "appliance.yaml:{+0}: daemons.web.after.0: there is no other daemon 'postgres'\n"
     "  hint: daemons here: firebird, web"),
    (BILLING, "consumes: [web.auth]", "consumes: [web.author]",
     "appliance.yaml:{+0}: consumes.0: there is no endpoint 'web.author'\n"
     "  hint: endpoints: agent.host, firebird.asr_billing, web.asr_billing, web.auth, web.base"),
    (BILLING, "volumes:\n", "volumes:\n  twice: {path: /var/lib/asrbox/database, size: 1GiB}\n",
     "appliance.yaml:{+2}: volumes.database.path: /var/lib/asrbox/database is mounted twice: by twice and database\n"
     "  hint: give each volume a path of its own"),
    (BILLING, "limits: {memory: 1GiB, cpu: 2, processes: 400}", "limits: {cpu: 2}",
     "appliance.yaml:{+0}: limits.memory: this key is required\n  hint: add `memory:`"),
    (BILLING, "appliance: asr_billing", "appliance: billing",
     "appliance.yaml:{+0}: appliance: the folder is called 'asr_billing'\n"
     "  hint: write `appliance: asr_billing` or rename the folder"),
    (BASE, "    needs: {acme_terms_agreed: true}", "    needs: {acme_terms: true}",
     "appliance.yaml:{+0}: settings.acme_names.needs.acme_terms: there is no other setting 'acme_terms'\n"
     "  hint: settings here: alarm_mail, "),
    (BASE, "    needs: {acme_terms_agreed: true}", "    needs: {acme_terms_agreed: perhaps}",
     "appliance.yaml:{+0}: settings.acme_names.needs.acme_terms_agreed: acme_terms_agreed takes yes or no"),
    (BASE, "    needs: {acme_terms_agreed: true}", "    needs: {acme_terms_agreed: 'yes'}",
     "appliance.yaml:{+0}: settings.acme_names.needs.acme_terms_agreed: 'yes' is not as acme_terms_agreed has it\n"
     "  hint: write True"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "message"), MISTAKES, ids=[m[2].strip()[:40] for m in MISTAKES])
def test_a_mistake_is_told_with_file_line_key_and_remedy(
    project: Project, file: str, old: str, new: str, message: str
) -> None:
    line = spoil(project, file, old, new)
    with pytest.raises(AsrboxError) as failure:
        load(project)
    folder = (project.root / file).parent
    message = re.sub(r"\{\+(\d)\}", lambda after: str(line + int(after[1])), message, count=1)
    assert message in str(failure.value).replace(f"{folder}/", "")


def test_a_missing_role_is_named(project: Project) -> None:
    (project.root / "roles/auth/tasks/main.yml").unlink()
    with pytest.raises(AsrboxError, match="the role 'auth' is missing\n  hint: write roles/auth/tasks/main.yml"):
        load(project)


def test_all_mistakes_are_told_at_once(project: Project) -> None:
    spoil(project, BILLING, "consumes: [web.auth]", "consumes: [web.nobody]")
    spoil(project, "appliances/auth/appliance.yaml", "address: 2", "address: 300")
    with pytest.raises(AsrboxError) as failure:
        load(project)
    assert "daemons.auth" not in str(failure.value)
    assert "address" in str(failure.value)


def test_a_circle_of_appliances_is_refused(project: Project) -> None:
    spoil(project, "appliances/auth/appliance.yaml", "consumes: []", "consumes: [web.asr_billing]")
    with pytest.raises(AsrboxError, match="circle: (auth → asr_billing → auth|asr_billing → auth → asr_billing)"):
        load(project)


def test_every_daemon_gets_the_address_of_the_plan(project: Project) -> None:
    resolved = load(project)
    daemons = {
        f"{daemon['name']}.{appliance['name']}": (daemon["address"], daemon["hostname"])
        for appliance in resolved.as_json()["appliances"]
        for daemon in appliance["daemons"]
    }
    assert daemons["firebird.asr_billing"] == ("198.18.83.2", "firebird.asr-billing.asrbox.internal")
    assert daemons["web.asr_billing"] == ("198.18.83.3", "web.asr-billing.asrbox.internal")
    assert daemons["web.auth"][0] == "198.18.82.2"


def test_a_second_address_has_the_numbers_of_the_first(project: Project) -> None:
    resolved = load(project)
    daemons = {
        f"{daemon['name']}.{appliance['name']}": daemon.get("address6")
        for appliance in resolved.as_json()["appliances"]
        for daemon in appliance["daemons"]
    }
    assert resolved.as_json()["network"]["host6"] == "fd34:ed37:338c::1"
    assert daemons["web.auth"] == "fd34:ed37:338c:2::2"
    assert daemons["web.asr_billing"] == "fd34:ed37:338c:3::3"
    assert daemons["firebird.asr_billing"] is None, "it says `ipv6: false`"


def test_a_whole_address_has_its_number_in_ipv6_too(project: Project) -> None:
    spoil(project, BILLING, "    address: 3", "    address: 198.18.83.200")
    resolved = load(project)
    web = resolved.appliances["asr_billing"].daemons["web"]
    assert str(resolved.address6("asr_billing", web)) == "fd34:ed37:338c:3::c8"


def test_a_distribution_may_have_no_ipv6(project: Project) -> None:
    spoil(project, DISTRO, "  range6: fd34:ed37:338c::/56 ", "  # ")
    text = json.dumps(load(project).as_json())
    assert "address6" not in text and "range6" not in text and "host6" not in text


def test_appliances_start_after_what_they_consume(project: Project) -> None:
    order = load(project).start_order
    assert order.index("auth") < order.index("base")
    assert order.index("auth") < order.index("asr_billing")


def test_a_fourth_appliance_needs_only_its_folder_and_role(project: Project) -> None:
    """What docs/adding-an-appliance.md says, done."""
    folder = project.root / "appliances/warehouse"
    folder.mkdir()
    auth = (project.root / "appliances/auth/appliance.yaml").read_text()
    (folder / "appliance.yaml").write_text(auth.replace("auth", "warehouse"))
    (project.root / "roles/warehouse/tasks").mkdir(parents=True)
    (project.root / "roles/warehouse/tasks/main.yml").write_text("[]\n")
    spoil(project, DISTRO, "  asr_billing: 3", "  asr_billing: 3\n  warehouse: 4")
    resolved = load(project)
    assert str(resolved.address("warehouse", resolved.appliances["warehouse"].daemons["web"])) == "198.18.84.2"
    assert "web.warehouse.asrbox.internal" in table(resolved)


def test_two_daemons_cannot_have_one_outside_port(project: Project) -> None:
    spoil(project, BILLING, "    publish: {path: /billing}", "    publish: {port: 9443, client_certificate: required}")
    spoil(project, "appliances/auth/appliance.yaml", "    publish: {path: /auth}", "    publish: {port: 9443}")
    with pytest.raises(AsrboxError, match="publish.port: port 9443 of the host publishes web.* already"):
        load(project)


def test_the_resolved_distribution_says_where_a_daemon_is_published(project: Project) -> None:
    spoil(project, BILLING, "    publish: {path: /billing}", "    publish: {port: 9443, client_certificate: required}")
    told = {one["name"]: one["daemons"][-1]["publish"] for one in load(project).as_json()["appliances"]}
    assert told == {
        "base": {"path": "/"},
        "auth": {"path": "/auth"},
        "asr_billing": {"port": 9443, "client_certificate": "required"},
    }


def test_sizes_are_exact() -> None:
    assert parse_size("4GiB") == 4 * 1024**3
    assert format_size(parse_size("1536MiB")) == "1536MiB"
    with pytest.raises(ValueError, match="a size such as"):
        parse_size("4GB")


def test_the_schema_knows_every_file() -> None:
    assert "appliances" in json_schema()["distro/<name>.yaml"]["properties"]


def test_the_reference_is_what_the_models_say() -> None:
    assert (ROOT / "docs/manifest.md").read_text() == manual() + "\n", "run: make docs"


def test_broken_text_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "distro").mkdir()
    (tmp_path / "distro/asrbox.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AsrboxError, match=r"asrbox\.yaml: the file is not UTF-8 text"):
        load(Project(tmp_path))
