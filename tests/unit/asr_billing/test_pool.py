"""The pool lends what lives, makes what is missing, and never more than its size."""

import threading

import pytest

from appliances.asr_billing.pool import Pool, PoolBusy


class Connection:
    def __init__(self) -> None:
        self.alive = True
        self.closed = False

    def ping(self) -> None:
        if not self.alive:
            raise OSError("gone")

    def close(self) -> None:
        self.closed = True


class Maker:
    def __init__(self) -> None:
        self.made: list[Connection] = []
        self.refuses = False

    def __call__(self) -> Connection:
        if self.refuses:
            raise OSError("refused")
        self.made.append(Connection())
        return self.made[-1]


def test_a_connection_is_used_again() -> None:
    maker = Maker()
    pool = Pool(maker, size=2, patience=0.01)
    for _ in range(5):
        with pool.connection():
            pass
    assert len(maker.made) == 1


def test_a_dead_connection_is_replaced_and_closed() -> None:
    maker = Maker()
    pool = Pool(maker, size=1, patience=0.01)
    with pool.connection() as first:
        first.alive = False
    with pool.connection() as second:
        assert second is not first
    assert first.closed


def test_the_pool_never_lends_more_than_its_size() -> None:
    pool = Pool(Maker(), size=2, patience=0.01)
    with pool.connection(), pool.connection(), pytest.raises(PoolBusy), pool.connection():
        pass
    with pool.connection():  # the places came back
        pass


def test_a_caller_waits_for_a_place() -> None:
    pool = Pool(Maker(), size=1, patience=5)
    got = threading.Event()

    def waiting() -> None:
        with pool.connection():
            got.set()

    with pool.connection():
        thread = threading.Thread(target=waiting)
        thread.start()
        assert not got.wait(0.05)
    assert got.wait(5)
    thread.join()


def test_a_server_that_refuses_costs_no_place() -> None:
    maker = Maker()
    pool = Pool(maker, size=1, patience=0.01)
    maker.refuses = True
    for _ in range(3):
        with pytest.raises(OSError, match="refused"), pool.connection():
            pass
    maker.refuses = False
    with pool.connection():
        pass


def test_closing_closes_what_is_idle() -> None:
    maker = Maker()
    pool = Pool(maker, size=3, patience=0.01)
    with pool.connection():
        pass
    pool.close()
    assert [connection.closed for connection in maker.made] == [True]
