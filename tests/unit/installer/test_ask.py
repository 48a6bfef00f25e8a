"""The dialogue: a typed conversation on one side, answers on the other."""

from __future__ import annotations

from appliances.base.installer.ask import Dialogue, Offer
from appliances.base.installer.disks import Block
from appliances.base.installer.links import Link
from appliances.base.installer.seed import Seed
from appliances.base.installer.texts import texts
from tests.unit.installer.machine import GIB, KEY, blocks, disk


class Typist:
    """A person who types the given lines; `seen` is all that the screen showed."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.seen = ""
        self.secrets: list[str] = []

    def say(self, text: str = "") -> None:
        self.seen += text + "\n"

    def ask(self, prompt: str, *, secret: bool = False) -> str:
        self.seen += prompt
        line = self.lines.pop(0)
        if secret:
            self.secrets.append(line)
        else:
            self.seen += line + "\n"
        return line


def offer(*disks: Block, language: str = "ru_RU.UTF-8") -> Offer:
    return Offer(
        title="asrbox",
        version="0.1.0",
        language=language,
        timezone="Etc/UTC",
        appliances=("base", "auth"),
        links=(Link("eno1", "52:54:00:00:00:01", False), Link("eno2", "52:54:00:00:00:02", True)),
        disks=disks,
        hash_password=lambda password: f"$6$saltsalt${len(password):08d}",
    )


EMPTY = blocks(disk())[0]
FULL = blocks(disk("sdb", 500 * GIB, model="Samsung SSD", serial="S4EV", pttype="gpt"))[0]


def test_pressing_enter_is_enough_where_there_is_a_sensible_answer() -> None:
    # given somebody who only chooses English, a password, and says yes
    person = Typist("1", "", "", "", "", "", "long enough", "long enough", "", "", "yes")
    # when asked
    seed = Dialogue(person, offer(EMPTY)).ask()
    # then everything else has its default, and the disk shown is the one that is meant
    assert (seed.language, seed.hostname, seed.network.method, seed.timezone) == ("en", "asrbox", "dhcp", "Etc/UTC")
    assert (seed.admin.name, seed.appliances, seed.disk.path, seed.disk.erase) == ("admin", None, "/dev/vda", None)
    assert seed.admin.password_hash == "$6$saltsalt$00000011"


def test_russian_is_proposed_and_a_fixed_address_is_asked_for() -> None:
    person = Typist(
        *("", "billing1.example.net", "2", "", "192.0.2.10/24", "", "", "Europe/Moscow"),
        *("oper", KEY, "12345678", "12345678", "base", "", "да"),
    )
    seed = Dialogue(person, offer(EMPTY)).ask()
    assert seed.language == "ru"
    assert seed.network.interface == "eno2"  # the one with a cable
    assert (str(seed.network.address), str(seed.network.gateway)) == ("192.0.2.10/24", "192.0.2.1")
    assert [str(address) for address in seed.network.dns] == ["192.0.2.1"]
    assert (seed.admin.name, seed.admin.ssh_keys, seed.appliances) == ("oper", (KEY,), ("base",))
    assert "Имя этого сервера [asrbox]" in person.seen


def test_every_wrong_answer_is_told_at_once_and_asked_again() -> None:
    person = Typist(
        *(
            "3",
            "1",
            "My Server",
            "srv",
            "9",
            "2",
            "7",
            "1",
            "192.0.2.10",
            "192.0.2.10/24",
            "198.51.100.1",
            "192.0.2.254",
        ),
        *(
            "dns",
            "192.0.2.53",
            "Moscow",
            "Europe/Moscow",
            "root",
            "admin",
            "no key",
            "",
            "short",
            "12345678",
            "12345679",
        ),
        *("12345678", "12345678", "billing", "", "5", "1", "no", "yes"),
    )
    seed = Dialogue(person, offer(EMPTY)).ask()
    assert str(seed.network.gateway) == "192.0.2.254"
    wrong = [name for name in texts("en") if name.endswith(("_wrong", "_short", "_differs"))]
    told = [name for name in wrong if texts("en")[name].split("{")[0] in person.seen]
    assert told == wrong


def test_a_disk_with_data_needs_its_own_word() -> None:
    # given a disk that holds data; when "yes" is typed, and then the word
    person = Typist("1", "", "", "", "", "", "12345678", "12345678", "", "", "yes", FULL.word.lower())
    seed = Dialogue(person, offer(FULL)).ask()
    # then what will be lost was shown, "yes" was not enough, and the answers allow exactly this disk
    assert "Samsung SSD" in person.seen
    assert "gpt partition table" in person.seen
    assert f"Type exactly {FULL.word}" in person.seen
    assert seed.disk.erase == FULL.word


def test_one_of_several_disks() -> None:
    person = Typist("1", "", "", "", "", "", "12345678", "12345678", "", "2", FULL.word)
    assert Dialogue(person, offer(EMPTY, FULL)).ask().disk.path == "/dev/sdb"


def test_the_password_is_never_shown() -> None:
    person = Typist("1", "", "", "", "", "", "12345678", "12345678", "", "", "yes")
    Dialogue(person, offer(EMPTY)).ask()
    assert person.secrets == ["12345678", "12345678"]
    assert "12345678" not in person.seen


def test_an_answer_file_that_wants_to_be_confirmed(seed: Seed) -> None:
    person = Typist("да")
    Dialogue(person, offer(EMPTY)).confirm(EMPTY, seed)
    assert "billing1.example.net" in person.seen
    assert person.lines == []


def test_both_languages_say_the_same_things() -> None:
    english, translated = texts("en"), texts("ru")
    assert english.keys() == translated.keys()
    for name, text in english.items():
        fields = {part.split("}")[0] for part in text.split("{")[1:]}
        assert fields == {part.split("}")[0] for part in translated[name].split("{")[1:]}, name
