"""The host's one TLS entry: what nginx has to know to lead the outside world to what is published.

Pure: from the distribution and a few facts to the text of a configuration. entryservice.py brings it into force.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import jinja2

from appliances.base.agent.distribution import Distribution, PublishedPort
from appliances.base.agent.paths import Paths

HTTPS = 443
TEMPLATE = Path(__file__).parent / "host" / "entry.nginx.j2"
LANGUAGES = ("ru", "en")
# The cookie in which appliances keep the language (appliances/common/i18n.py, which needs Babel: the host has none).
LANGUAGE_COOKIE = "asrbox-language"
HTTP2_DIRECTIVE = (1, 25, 1)  # nginx from this version on wants `http2 on`; before, it is a word of `listen`


@dataclass(frozen=True)
class Facts:
    """What the configuration depends on besides the distribution."""

    own: bool  # browsers see a certificate of the host's own CA: they are not told to insist on TLS
    ipv6: bool  # the host has an address that listening on makes sense for
    nginx: tuple[int, ...]  # its version
    address: str | None = None  # the only IPv4 address to listen on; None: every one


def wants_client_certificates(distribution: Distribution) -> bool:
    """Whether some port lets in only callers that show a certificate."""
    return any(
        isinstance(one.at, PublishedPort) and one.at.client_certificate == "required"
        for one in distribution.published()
    )


def configuration(distribution: Distribution, paths: Paths, facts: Facts, mark: str) -> str:
    """nginx.conf. `mark` is what the entry answers when it is asked which configuration it runs with."""
    return _template().render(
        published=distribution.published(),
        pages=paths.entry_pages,
        challenges=paths.challenges,
        state=paths.entry_state,
        own=facts.own,
        ipv6=facts.ipv6,
        address=f"{facts.address}:" if facts.address else "",
        http2_directive=facts.nginx >= HTTP2_DIRECTIVE,
        languages=LANGUAGES,
        cookie=LANGUAGE_COOKIE,
        mark=mark,
    )


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(  # noqa: S701
        undefined=jinja2.ChainableUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(TEMPLATE.read_text())
