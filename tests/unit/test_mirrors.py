"""Which mirrors the build host's apt sources name, and where the suites of a base are looked for."""

from __future__ import annotations

import pytest

from builder.bases import mirrors
from builder.bases.mirrors import Suite, archive_roots, suites_of
from builder.errors import AsrboxError

MANIFEST = {
    "suites": [
        {"suite": "trixie", "archive": "debian", "components": ["main"]},
        {"suite": "trixie-updates", "archive": "debian", "components": ["main"]},
        {"suite": "trixie-security", "archive": "debian-security", "components": ["main", "contrib"]},
    ]
}


def etc_apt(folder, files):
    (folder / "sources.list.d").mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "roots"),
    [
        ({}, {}),
        (
            {
                "sources.list.d/debian.sources": "Types: deb deb-src\n"
                "# a comment inside the stanza\n"
                "URIs: http://one.example/debian/\n"
                "Suites: bookworm bookworm-updates\n"
                "\n"
                "Types: deb\n"
                "URIs:\n http://two.example/debian-security\n http://three.example/debian-security\n"
                "Suites: bookworm-security\n"
            },
            {"debian": "http://one.example/debian", "debian-security": "http://two.example/debian-security"},
        ),
        (
            {
                "sources.list": "deb [arch=amd64 signed-by=/k.gpg] https://one.example/mirror/debian bookworm main\n"
                "# deb http://off.example/debian-security bookworm-security main\n"
                "deb-src http://src.example/debian-security bookworm-security main\n"
            },
            {"debian": "https://one.example/mirror/debian"},
        ),
        (
            {"sources.list.d/off.sources": "Enabled: no\nTypes: deb\nURIs: http://one.example/debian\nSuites: x\n"},
            {},
        ),
        ({"sources.list": "deb cdrom:[Debian 12]/debian bookworm main\n"}, {}),
        ({"sources.list.d/readme.txt": "deb http://one.example/debian bookworm main\n"}, {}),
        (
            {"sources.list.d/local.list": "deb file:/srv/mirrors/debian trixie main\n"},
            {"debian": "file:/srv/mirrors/debian"},
        ),
    ],
    ids=["none", "deb822", "one-line", "disabled", "cdrom", "other-file", "file"],
)
def test_archives_are_found_in_the_hosts_sources(tmp_path, files, roots):
    assert archive_roots(etc_apt(tmp_path, files)) == roots


def test_without_a_mirror_option_each_archive_keeps_the_hosts_mirror(tmp_path, monkeypatch):
    text = "deb http://a.example/debian bookworm main\ndeb http://b.example/debian-security bookworm-security main\n"
    folder = etc_apt(tmp_path, {"sources.list": text})
    monkeypatch.setattr(mirrors, "archive_roots", lambda: archive_roots(folder))

    assert suites_of(MANIFEST, None, lambda _uri, _suite: False) == [
        Suite("trixie", "http://a.example/debian", ("main",)),
        Suite("trixie-updates", "http://a.example/debian", ("main",)),
        Suite("trixie-security", "http://b.example/debian-security", ("main", "contrib")),
    ]


@pytest.mark.parametrize(
    ("given", "security"),
    [
        ("http://m.example/debian/", "http://m.example/debian"),
        ("http://m.example/debian", "http://m.example/debian-security"),
        ("http://m.example/mirror", "http://m.example/mirror-security"),
        ("http://m.example", "http://m.example/debian-security"),
    ],
    ids=["same-place", "sibling", "suffix", "host-without-path"],
)
def test_a_given_mirror_is_searched_for_the_suites_of_other_archives(given, security):
    root = given.rstrip("/")

    found = suites_of(MANIFEST, given, lambda uri, suite: suite != "trixie-security" or uri == security)

    assert [suite.uri for suite in found] == [root, root, security]


def test_a_suite_that_is_nowhere_on_the_given_mirror_is_left_out_with_a_warning(capsys):
    found = suites_of(MANIFEST, "http://m.example/debian", lambda _uri, suite: suite == "trixie")

    assert [suite.suite for suite in found] == ["trixie"]
    assert "has no trixie-security: going on without it" in capsys.readouterr().err


def test_the_first_suite_must_be_on_the_given_mirror():
    with pytest.raises(AsrboxError, match="the mirror http://m.example has no suite trixie"):
        suites_of(MANIFEST, "http://m.example", lambda _uri, _suite: False)


def test_a_mirror_that_is_neither_folder_nor_url_is_refused(tmp_path):
    with pytest.raises(AsrboxError, match="is no folder and no URL"):
        suites_of(MANIFEST, str(tmp_path / "nowhere"), lambda _uri, _suite: True)
