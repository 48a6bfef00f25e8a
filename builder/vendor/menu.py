"""What is to be changed in a vendor's boot menu, and the kernel arguments that both menu languages share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from builder.errors import AsrboxError

Role = Literal["install", "check", "other"]

LONGEST_TIMEOUT = 3600  # seconds
_TITLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .,:()_+-]{0,59}")
_ARGUMENT = re.compile(r"[A-Za-z0-9_.,:/=@%+-]+")
_LABELLED = re.compile(
    r"(?P<key>[a-z0-9_.]+)=(?P<kind>[a-z]+:)?(?P<by>(?:CD)?LABEL=)(?P<label>[^:]*)(?P<rest>.*)", re.S
)
_CHECKS = ("rd.live.check", "inst.mediacheck", "mediacheck")
_RESCUES = ("inst.rescue", "rescue")
_FALLBACKS = ("nomodeset", "inst.text", "inst.xdriver", "inst.vnc", "inst.rdp")  # for machines with difficulties


@dataclass(frozen=True)
class MenuOptions:
    """How the menu of our medium differs from the vendor's.

    `title` of the entry that installs; `timeout` in seconds until the entry `default` starts, which installs at once
    or checks the medium first; `arguments` go to the kernel of both entries, for example console=ttyS0,115200.
    Raises AsrboxError for what cannot stand in a menu.
    """

    title: str
    timeout: int = 5
    default: Literal["install", "check"] = "install"
    arguments: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _TITLE.fullmatch(self.title):
            raise AsrboxError(
                f"the menu title {self.title!r} cannot be written in every boot menu",
                hint="use at most 60 letters, digits, spaces and . , : ( ) _ + -, beginning with a letter or digit",
            )
        if not 1 <= self.timeout <= LONGEST_TIMEOUT:
            raise AsrboxError(
                f"the menu cannot wait for {self.timeout} seconds",
                hint=f"give 1 to {LONGEST_TIMEOUT}; 0 would mean at once in one menu language, never in the other",
            )
        for argument in self.arguments:
            if not _ARGUMENT.fullmatch(argument):
                raise AsrboxError(
                    f"the kernel argument {argument!r} cannot be written in every boot menu",
                    hint="use letters, digits and _ . , : / = @ % + -, one argument without spaces at a time",
                )

    @property
    def check_title(self) -> str:
        """Title of the entry that checks the medium before it installs."""
        return f"Test this medium, then: {self.title}"


@dataclass(frozen=True)
class Change:
    """Everything an editor needs: both volume labels, the path of the kickstart on the medium (/ks.cfg), options."""

    old_label: str
    label: str
    kickstart: str
    options: MenuOptions

    @property
    def added(self) -> list[str]:
        """Kernel arguments of an entry that installs by our kickstart."""
        return [f"inst.ks=hd:LABEL={self.label}:{self.kickstart}", *self.options.arguments]

    def supersedes(self, argument: str) -> bool:
        """True for an argument of the vendor's that ours take the place of: a kickstart, or the same argument."""
        return argument.startswith(("inst.ks=", "ks=")) or argument in self.options.arguments

    def relabelled(self, word: str) -> str:
        """A word of a command with the new volume label in the place of the old one.

        The label alone (`search -l LABEL`), or in an argument such as inst.stage2=hd:LABEL=…:/path. The medium that
        inst.stage2 names is always this one, whatever the vendor wrote there.
        """
        if word in self._old:
            return self.label
        found = _LABELLED.fullmatch(word)
        if found and (found["label"] in self._old or found["key"] == "inst.stage2"):
            return f"{found['key']}={found['kind'] or ''}{found['by']}{self.label}{found['rest']}"
        return word

    @property
    def _old(self) -> set[str]:
        # A space of a label is written \x20 (udev's way), and GRUB's language swallows the backslash.
        return {self.old_label, *(self.old_label.replace(" ", code) for code in (r"\x20", "x20"))} - {""}


@dataclass(frozen=True)
class Chosen:
    """Places in a menu's list of entries: the one that installs, the one that checks first (None: there is none)."""

    install: int
    check: int | None
    default: int


def role(arguments: Iterable[str], *, top: bool) -> Role:
    """What an entry with these kernel arguments does. `top`: it is in the main menu, not in a submenu."""
    words = list(arguments)
    if not top or not any(word.startswith(("inst.stage2=", "inst.repo=")) for word in words):
        return "other"
    if _has(words, _RESCUES) or _has(words, _FALLBACKS):
        return "other"
    return "check" if _has(words, _CHECKS) else "install"


def choose(roles: Sequence[Role], options: MenuOptions, name: str) -> Chosen:
    """The entries to edit. Raises AsrboxError when menu `name` has none, or lacks the one that is to be the default."""
    install = next((at for at, item in enumerate(roles) if item == "install"), None)
    check = next((at for at, item in enumerate(roles) if item == "check"), None)
    if install is None and check is None:
        raise AsrboxError(
            f"no entry of the boot menu {name} can be edited: none of the main menu installs (inst.stage2=…)",
            hint="take the vendor's original boot.iso or DVD",
        )
    if check is None and options.default == "check":
        raise AsrboxError(
            f"the boot menu {name} has no entry that checks the medium first", hint='choose the default "install"'
        )
    first = check if install is None else install
    assert first is not None
    wanted = check if options.default == "check" and check is not None else first
    return Chosen(first, check if check != first else None, wanted)


def _has(words: Iterable[str], names: Sequence[str]) -> bool:
    return any(word.partition("=")[0] in names for word in words)
