"""Boot menus before and after: golden files for whole menus, small texts for one rule each.

What GRUB itself thinks of the edited menus is asked in tests/services/test_vendor_iso.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import AsrboxError
from builder.vendor import MenuOptions, grubcfg, isolinux
from builder.vendor.menu import Change
from tests.synthetic_media import LABELS, menu

GOLDEN = Path(__file__).parent / "golden"
OPTIONS = MenuOptions("Install asrbox 0.1.0", timeout=5, arguments=("console=ttyS0,115200",))
OURS = "inst.stage2=hd:LABEL=NEW inst.ks=hd:LABEL=NEW:/ks.cfg"


def change(old: str = "OLD", options: MenuOptions | None = None) -> Change:
    return Change(old, "NEW", "/ks.cfg", options or MenuOptions("Ours"))


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.iterdir()))
def test_a_whole_menu_becomes_the_golden_file_beside_this_test(name: str) -> None:
    old = LABELS["el9" if name.startswith("el9") else "el10"]
    editor = isolinux if "isolinux" in name else grubcfg
    after = editor.edit(menu(name), Change(old, "ASRBOX_0_1_0", "/ks.cfg", OPTIONS), name)
    assert after == (GOLDEN / name).read_text()


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.iterdir()))
def test_what_was_edited_once_can_be_edited_again_and_stays_the_same(name: str) -> None:
    editor = isolinux if "isolinux" in name else grubcfg
    once = (GOLDEN / name).read_text()
    again = editor.edit(once, Change("ASRBOX_0_1_0", "ASRBOX_0_1_0", "/ks.cfg", OPTIONS), name)
    assert again == once


# ── GRUB ──


def grub(text: str, **more: str) -> str:
    return grubcfg.edit(text, change(**more), "grub.cfg")


def test_a_menuentry_on_one_line_is_edited() -> None:
    after = grub("set default=0;set timeout=9\nmenuentry 'A' {linux /k inst.stage2=hd:LABEL=OLD;initrd /i}\n")
    assert after == (
        "set default=asrbox-install;set timeout=5\n"
        f"menuentry 'Ours' --id asrbox-install {{linux /k {OURS};initrd /i}}\n"
    )


def test_what_only_looks_like_a_command_is_left_alone() -> None:
    # given braces, semicolons and comments inside of quotes, and an entry in a comment
    text = (
        "# menuentry 'x' { linux /k inst.stage2=hd:LABEL=OLD\n"
        "echo 'menuentry { ; }' \"set timeout=99 # no comment\"\n"
        "menuentry 'A; {b} # c' {\n linux /k inst.stage2=hd:LABEL=OLD # OLD\n}\n"
    )
    after = grub(text)
    assert "# menuentry 'x' { linux /k inst.stage2=hd:LABEL=OLD\n" in after
    assert "echo 'menuentry { ; }' \"set timeout=99 # no comment\"\n" in after
    assert f"menuentry 'Ours' --id asrbox-install {{\n linux /k {OURS} # OLD\n}}" in after


def test_settings_that_are_missing_are_put_first() -> None:
    after = grub("menuentry 'A' { linux /k inst.stage2=hd:LABEL=OLD; }\n")
    assert after.startswith("set default=asrbox-install\nset timeout=5\nmenuentry 'Ours'")


def test_settings_inside_of_conditions_are_changed_and_those_of_entries_are_not() -> None:
    after = grub(
        "if [ a ]; then set timeout=60; else timeout=90; fi\nset default=3\n"
        "menuentry 'A' { set timeout=7; linux /k inst.stage2=hd:LABEL=OLD; }\n"
    )
    assert "if [ a ]; then set timeout=5; else timeout=5; fi\nset default=asrbox-install\n" in after
    assert "{ set timeout=7; " in after


def test_another_kickstart_of_the_vendor_is_replaced() -> None:
    after = grub("menuentry 'A' { linux /k inst.ks=cdrom:/x.cfg inst.stage2=hd:LABEL=OLD quiet inst.ks=http://y; }\n")
    assert "{ linux /k inst.stage2=hd:LABEL=NEW quiet inst.ks=hd:LABEL=NEW:/ks.cfg; }" in after


def test_an_id_that_an_entry_has_is_replaced() -> None:
    for given, expected in [
        ("--id 'x'", "--id 'asrbox-install'"),
        ("--id=x", "--id=asrbox-install"),
        ("$menuentry_id_option 'x'", "$menuentry_id_option 'asrbox-install'"),
    ]:
        after = grub(f"menuentry 'A' {given} {{ linux /k inst.stage2=hd:LABEL=OLD; }}\n")
        assert f"menuentry 'Ours' {expected} {{" in after


def test_a_label_with_spaces_is_found_however_the_vendor_has_written_it() -> None:
    text = (
        "search --no-floppy --set=root -l 'The Old One'\n"
        r"menuentry 'A' { linux /k inst.stage2=hd:LABEL=The\x20Old\x20One inst.repo=hd:LABEL=The\x20Old\x20One:/r; }"
        "\n"
    )
    after = grub(text, old="The Old One")
    assert "search --no-floppy --set=root -l 'NEW'\n" in after
    assert "inst.stage2=hd:LABEL=NEW inst.repo=hd:LABEL=NEW:/r " in after


def test_other_labels_are_left_alone_except_that_of_stage_2() -> None:
    after = grub("menuentry 'A' { linux /k inst.stage2=hd:LABEL=WRONG inst.dd=hd:LABEL=OEMDRV:/d OLDER; }\n")
    assert (
        "{ linux /k inst.stage2=hd:LABEL=NEW inst.dd=hd:LABEL=OEMDRV:/d OLDER inst.ks=hd:LABEL=NEW:/ks.cfg; }" in after
    )


def test_entries_of_submenus_get_the_label_but_no_kickstart() -> None:
    after = grub(
        "menuentry 'A' { linux /k inst.stage2=hd:LABEL=OLD; }\n"
        "submenu 'More' { menuentry 'B' { linux /k inst.stage2=hd:LABEL=OLD; } }\n"
    )
    assert "submenu 'More' { menuentry 'B' { linux /k inst.stage2=hd:LABEL=NEW; } }" in after


def test_the_entry_that_checks_the_medium_can_be_the_default() -> None:
    text = (
        "menuentry 'A' { linux /k inst.stage2=hd:LABEL=OLD; }\n"
        "menuentry 'B' { linux /k inst.stage2=hd:LABEL=OLD rd.live.check; }\n"
    )
    after = grubcfg.edit(text, change(options=MenuOptions("Ours", default="check")), "grub.cfg")
    assert after.startswith("set default=asrbox-check\n")
    assert "menuentry 'Test this medium, then: Ours' --id asrbox-check {" in after


def test_a_menu_of_rescue_entries_only_is_refused() -> None:
    with pytest.raises(AsrboxError, match=r"^no entry of the boot menu grub\.cfg can be edited"):
        grub(
            "menuentry 'A' { linux /k inst.stage2=hd:LABEL=OLD inst.rescue; }\nsubmenu 'B' { menuentry 'C' { true; } }"
        )


def test_a_check_that_is_not_there_cannot_be_the_default() -> None:
    with pytest.raises(AsrboxError, match=r"has no entry that checks the medium first"):
        grubcfg.edit(
            "menuentry 'A' { linux /k inst.stage2=hd:LABEL=OLD; }\n",
            change(options=MenuOptions("Ours", default="check")),
            "grub.cfg",
        )


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("set a=1\nmenuentry 'A' {\n linux /k\n", "grub.cfg:2: this { is never closed"),
        ("set a=1\n}\n", "grub.cfg:2: a } that closes nothing"),
        ("set a=1\n\necho 'no end\n", "grub.cfg:3: a quote that is never closed"),
    ],
)
def test_a_menu_that_grub_could_not_read_is_told_with_its_line(text: str, error: str) -> None:
    with pytest.raises(AsrboxError) as caught:
        grub(text)
    assert str(caught.value) == error


# ── isolinux ──


def syslinux(text: str, **more: str) -> str:
    return isolinux.edit(text, change(**more), "isolinux.cfg")


def test_directives_in_capitals_with_tabs_and_dos_line_ends_are_understood() -> None:
    text = (
        "TIMEOUT\t600\r\nLABEL a\r\n\tMENU LABEL ^A\r\n\tKERNEL k\r\n"
        "\tAPPEND\tinitrd=i inst.stage2=hd:LABEL=OLD  quiet\r\n"
    )
    assert syslinux(text) == (
        "TIMEOUT\t50\r\nLABEL a\r\n\tmenu label Ours\r\n\tmenu default\r\n\tKERNEL k\r\n"
        "\tAPPEND\tinitrd=i inst.stage2=hd:LABEL=NEW  quiet inst.ks=hd:LABEL=NEW:/ks.cfg\r\n"
    )


def test_help_text_is_no_directive() -> None:
    text = (
        "timeout 1\nlabel a\n  menu label A\n  text help\nlabel b\nappend inst.stage2=hd:LABEL=OLD\n  endtext\n"
        "  append inst.stage2=hd:LABEL=OLD\n"
    )
    after = syslinux(text)
    assert "  text help\nlabel b\nappend inst.stage2=hd:LABEL=OLD\n  endtext\n" in after
    assert after.endswith(f"  append {OURS}\n")


def test_the_default_may_be_an_entry_or_a_program_that_shows_the_menu() -> None:
    entry = "label a\n  append inst.stage2=hd:LABEL=OLD\n"
    assert syslinux(f"default other\nontimeout other\ntimeout 1\n{entry}").startswith(
        "default a\nontimeout a\ntimeout 50\nlabel a\n  menu label Ours\n  menu default\n"
    )
    assert syslinux(f"default vesamenu.c32\ntimeout 1\n{entry}").startswith("default vesamenu.c32\n")


def test_a_timeout_that_is_missing_is_put_first() -> None:
    assert syslinux("label a\n  append inst.stage2=hd:LABEL=OLD\n").startswith("timeout 50\nlabel a\n")


def test_the_default_of_a_submenu_stays() -> None:
    after = syslinux(
        "label a\n  append inst.stage2=hd:LABEL=OLD\nlabel c\n  menu default\n  localboot 0\n"
        "menu begin more\nlabel b\n  menu default\n  append inst.stage2=hd:LABEL=OLD\nmenu end\n"
    )
    assert "label c\n  localboot 0\n" in after
    assert after.endswith("menu begin more\nlabel b\n  menu default\n  append inst.stage2=hd:LABEL=NEW\nmenu end\n")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("label a\nmenu end\n", "isolinux.cfg:2: menu end without a menu begin"),
        ("timeout 1\nmenu begin x\nlabel a\n", "isolinux.cfg:2: menu begin x: this does not end"),
        ("label a\n  text help\nabc\n", "isolinux.cfg:2: text help: this does not end"),
    ],
)
def test_a_menu_that_isolinux_would_misread_is_told_with_its_line(text: str, error: str) -> None:
    with pytest.raises(AsrboxError) as caught:
        syslinux(text)
    assert str(caught.value) == error


def test_an_isolinux_menu_that_installs_nothing_is_refused() -> None:
    with pytest.raises(AsrboxError, match=r"^no entry of the boot menu isolinux\.cfg can be edited"):
        syslinux("label a\n  localboot 0xffff\n")


# ── options ──


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"title": "it's ours"}, 'the menu title "it\'s ours" cannot be written in every boot menu'),
        ({"title": ""}, "the menu title '' cannot be written in every boot menu"),
        ({"title": "A", "timeout": 0}, "the menu cannot wait for 0 seconds"),
        ({"title": "A", "timeout": 3601}, "the menu cannot wait for 3601 seconds"),
        ({"title": "A", "arguments": ("a b",)}, "the kernel argument 'a b' cannot be written in every boot menu"),
        ({"title": "A", "arguments": ("$x",)}, "the kernel argument '$x' cannot be written in every boot menu"),
    ],
)
def test_options_that_no_menu_can_hold_are_refused(options: dict[str, object], error: str) -> None:
    with pytest.raises(AsrboxError) as caught:
        MenuOptions(**options)  # type: ignore[arg-type]
    assert caught.value.message == error
    assert caught.value.hint
