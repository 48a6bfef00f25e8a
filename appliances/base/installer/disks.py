"""The disks of this machine, as plain data out of `lsblk --json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

COLUMNS = "NAME,KNAME,PATH,TYPE,SIZE,RO,RM,TRAN,MODEL,SERIAL,WWN,FSTYPE,LABEL,PTTYPE,PARTLABEL,MOUNTPOINTS"
LSBLK = ("lsblk", "--json", "--bytes", "--output", COLUMNS)

# No letters or digits that are mistaken for one another when read aloud or off a screen.
ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True)
class Block:
    """One block device: a whole disk or something on it. `size` in bytes; `holds` is its file system or member type."""

    path: str
    kind: str
    size: int
    read_only: bool
    removable: bool
    transport: str
    model: str
    serial: str
    wwn: str
    holds: str
    label: str
    table: str
    mounts: tuple[str, ...]
    children: tuple[Block, ...]

    def all(self) -> Iterator[Block]:
        """This device and everything on it."""
        yield self
        for child in self.children:
            yield from child.all()

    @property
    def word(self) -> str:
        """The confirmation word: six characters that follow from what identifies the disk and from its size."""
        identity = f"{self.serial}|{self.wwn}|{self.size}" if self.serial or self.wwn else f"{self.path}|{self.size}"
        number = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big")
        word = ""
        for _ in range(6):
            number, digit = divmod(number, len(ALPHABET))
            word += ALPHABET[digit]
        return word

    @property
    def contents(self) -> tuple[str, ...]:
        """What is on the disk, one short text each; empty for a blank disk."""
        found = [f"{self.table} partition table"] if self.table else []
        for block in self.all():
            if block.holds:
                label = f" {block.label!r}" if block.label else ""
                found.append(f"{block.holds}{label} on {block.path}")
        if not found and self.children:
            found = [f"{child.kind} {child.path}" for child in self.children]
        return tuple(found)

    @property
    def selector(self) -> str:
        """The line for [disk] in seed.toml that names this disk and no other."""
        if self.serial:
            return f'serial = "{self.serial}"'
        if self.wwn:
            return f'wwn = "{self.wwn}"'
        return f'path = "{self.path}"'

    def __str__(self) -> str:
        name = f", {self.model}" if self.model else ""
        marks = [f"serial {self.serial}"] if self.serial else []
        marks += [f"wwn {self.wwn}"] if self.wwn else []
        return ", ".join([f"{self.path} ({human(self.size)}{name})", *marks])


def parse(text: str) -> list[Block]:
    """The top-level devices of `lsblk --json --bytes` output with the columns `COLUMNS`."""
    return [_block(item) for item in json.loads(text)["blockdevices"]]


def human(size: int) -> str:
    """Bytes as a person says them: 17179869184 → "16.0 GiB"."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def _block(item: Mapping[str, Any]) -> Block:
    def text(key: str) -> str:
        return str(item.get(key) or "").strip()

    return Block(
        path=text("path") or f"/dev/{item['name']}",
        kind=text("type"),
        size=int(item.get("size") or 0),
        read_only=bool(item.get("ro")),
        removable=bool(item.get("rm")),
        transport=text("tran"),
        model=text("model"),
        serial=text("serial"),
        wwn=text("wwn"),
        holds=text("fstype"),
        label=text("label"),
        table=text("pttype"),
        mounts=tuple(str(mount) for mount in item.get("mountpoints") or () if mount),
        children=tuple(_block(child) for child in item.get("children") or ()),
    )
