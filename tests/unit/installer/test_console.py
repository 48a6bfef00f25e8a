"""Several terminals as one, tried with real pseudo-terminals."""

from __future__ import annotations

import os
import select
import threading
import time

from appliances.base.installer.console import Console, Consoles


class Person:
    """The other end of a terminal."""

    def __init__(self, **kind: bool) -> None:
        self.end, self.terminal = os.openpty()
        self.console = Console(self.terminal, self.terminal, **kind)

    def type(self, text: str) -> None:
        os.write(self.end, text.encode())

    def sees(self) -> str:
        """All that is on the screen after a moment."""
        said = b""
        while select.select([self.end], [], [], 0.1)[0]:
            said += os.read(self.end, 4096)
        return said.decode().replace("\r\n", "\n")


def test_a_question_is_on_all_and_the_answer_may_come_from_any() -> None:
    # given a screen and a serial line
    screen, serial = Person(screen=True), Person()
    both = Consoles([screen.console, serial.console])
    # when the answer is typed on the serial line
    serial.type("srv1\n")
    answer = both.ask("Name: ")
    # then it is taken, and the screen shows it, too
    assert answer == "srv1"
    assert screen.sees() == "Name: srv1\n"
    assert "Name: " in serial.sees()


def test_a_secret_is_not_echoed_anywhere() -> None:
    screen, serial = Person(screen=True), Person()
    both = Consoles([screen.console, serial.console])

    def typist() -> None:
        time.sleep(0.3)
        screen.type("geheim\n")

    thread = threading.Thread(target=typist)
    thread.start()
    assert both.ask("Password: ", secret=True) == "geheim"
    thread.join()
    assert screen.sees() == "Password: \n"
    assert serial.sees() == "Password: \n"
    # and afterwards typing is shown again
    screen.type("x\n")
    assert both.ask("") == "x"
    assert "x" in screen.sees()


def test_a_terminal_that_goes_away_does_not_stop_the_others() -> None:
    gone, stays = Person(), Person()
    both = Consoles([gone.console, stays.console])
    os.close(gone.end)
    stays.type("yes\n")
    assert both.ask("? ") == "yes"
    assert both.consoles == [stays.console]


def test_a_screen_without_cyrillic_letters_gets_latin_ones() -> None:
    plain, serial = Person(screen=True, cyrillic=False), Person()
    Consoles([plain.console, serial.console]).say("Щука — ёж")
    assert plain.sees() == "Shchuka - yozh\n"
    assert serial.sees() == "Щука — ёж\n"


def test_lines_for_machines_stay_off_the_screen() -> None:
    screen, serial = Person(screen=True), Person()
    both = Consoles([screen.console, serial.console])
    both.say_on(screen=False, text="asrbox-install: done\n")
    both.say_on(screen=True, text="Done.\n")
    assert (screen.sees(), serial.sees()) == ("Done.\n", "asrbox-install: done\n")
