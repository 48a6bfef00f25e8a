"""The wrapper around pylxd, against a small daemon on a real unix socket that speaks Incus' REST API."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, Response, jsonify, request

from appliances.base.agent import images
from appliances.base.agent.errors import AgentError
from appliances.base.agent.imagelist import Image
from appliances.base.agent.images import TarStream
from appliances.base.agent.incus import Incus
from appliances.base.agent.incuslink import find_socket
from appliances.base.agent.server import serve_socket


class Daemon:
    """What the daemon answers; a test changes `operation`."""

    def __init__(self) -> None:
        self.operation: dict[str, Any] = {"status_code": 200, "metadata": {}}
        self.requests: list[str] = []
        self.waits_that_run_out = 0
        self.uploaded = b""
        self.app = Flask(__name__)
        self.app.before_request(self._note)
        self._route("/1.0", lambda: self._sync({"config": {}}))
        self._route("/1.0/operations/one/wait", self._waited)
        self._route("/1.0/operations/one", lambda: self._sync({"status_code": 103}))
        self._route("/1.0/instances/auth", self._no_instance)
        self._route("/1.0/instances/auth/exec", self._begun, "POST")
        self._route("/1.0/instances/auth/state", self._begun, "PUT")
        self._route("/1.0/instances/auth/logs/exec-output/<name>", self._log, "GET", "DELETE")
        self._route("/1.0/images", self._upload, "POST")
        self._route("/1.0/images/aliases", self._begun, "POST")
        self._route("/1.0/images/<fingerprint>", self._begun, "DELETE")

        pool = "/1.0/storage-pools/asrbox"
        self._route(f"{pool}/resources", lambda: self._sync({"space": {"used": 1 << 20, "total": 1 << 40}}))
        self._route(f"{pool}/volumes/image", lambda: self._sync([{"name": "a" * 64}]))
        self._route(f"{pool}/volumes/custom/<name>/state", self._volume_state)

    def _route(self, rule: str, answer: Callable[..., Any], *methods: str) -> None:
        self.app.add_url_rule(rule, rule, answer, methods=methods or ("GET",))

    def _note(self) -> None:
        self.requests.append(f"{request.method} {request.path}")

    def _sync(self, metadata: Any) -> Response:
        return jsonify(type="sync", status_code=200, metadata=metadata)

    def _begun(self, **_: str) -> tuple[Response, int]:
        return jsonify(type="async", operation="/1.0/operations/one", metadata={}), 202

    def _waited(self) -> Response:
        if self.waits_that_run_out:
            self.waits_that_run_out -= 1
            # The header is sent before the wait begins, so that it says 200.
            return jsonify(type="error", error="context deadline exceeded", error_code=500)
        return self._sync(self.operation)

    def _upload(self) -> tuple[Response, int]:
        self.uploaded = request.get_data()
        return self._begun()

    def _no_instance(self) -> tuple[Response, int]:
        return jsonify(type="error", error="Instance not found", error_code=404), 404

    def _volume_state(self, name: str) -> Response | tuple[Response, int]:
        """As Incus 6.0 answers: where the pool counts, without a size, and of btrfs whose tools it cannot read."""
        if name == "uncounted":
            return jsonify(type="error", error="Quota not supported", error_code=500), 500
        usage = {"data": {"used": 10, "total": 100}, "unlimited": {"used": 10, "total": 0}}.get(name)
        return self._sync({"usage": usage})

    def _log(self, name: str) -> Response | str:
        return self._sync({}) if request.method == "DELETE" else f"said in {name}"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    running = Daemon()
    server = serve_socket(running.app, tmp_path / "incus/unix.socket")
    yield running
    server.stop()


@pytest.fixture
def incus(daemon: Daemon, tmp_path: Path) -> Incus:
    return Incus(tmp_path / "incus/unix.socket")


def test_a_program_gives_its_output_and_its_records_are_deleted(daemon: Daemon, incus: Incus) -> None:
    logs = "/1.0/instances/auth/logs/exec-output"
    daemon.operation["metadata"] = {"return": 3, "output": {"1": f"{logs}/a.stdout", "2": f"{logs}/a.stderr"}}

    ran = incus.run("auth", ["false"], appliance="auth", step="try")

    assert (ran.code, ran.stdout, ran.stderr) == (3, "said in a.stdout", "said in a.stderr")
    assert [one for one in daemon.requests if one.startswith("DELETE")] == [
        f"DELETE {logs}/a.stdout",
        f"DELETE {logs}/a.stderr",
    ]


def test_an_operation_that_outlasts_a_wait_is_waited_for_again(daemon: Daemon, incus: Incus) -> None:
    daemon.waits_that_run_out = 2
    daemon.operation["metadata"] = {"return": 0, "output": {}}

    assert incus.run("auth", ["sleep", "25"], appliance="auth", step="try").code == 0
    assert [one for one in daemon.requests if one.endswith("/wait")] == ["GET /1.0/operations/one/wait"] * 3


def test_a_failed_operation_says_appliance_step_and_the_daemons_words(daemon: Daemon, incus: Incus) -> None:
    daemon.operation.update(status_code=400, err="Failed to start device eth0")

    with pytest.raises(AgentError) as failed:
        incus.start("auth", appliance="auth")

    assert str(failed.value) == "auth: start: Failed to start device eth0"


def test_an_operation_that_never_ends_is_given_up(daemon: Daemon, incus: Incus) -> None:
    daemon.operation["status_code"] = 103

    with pytest.raises(AgentError, match="auth: try: did not end within 0 s"):
        incus.run("auth", ["sleep"], appliance="auth", step="try", timeout=0.2)


def test_what_does_not_exist_is_none(incus: Incus) -> None:
    assert incus.instance("auth") is None


def test_a_daemon_that_is_gone_is_told_and_found_again(daemon: Daemon, incus: Incus, tmp_path: Path) -> None:
    incus.server()
    (tmp_path / "incus/unix.socket").rename(tmp_path / "incus/away")
    with pytest.raises(AgentError, match="connect to Incus: Incus does not answer"):
        Incus(tmp_path / "incus/unix.socket").server()

    (tmp_path / "incus/away").rename(tmp_path / "incus/unix.socket")
    assert incus.wait_ready(5)["config"] == {}


def test_the_socket_is_looked_for_where_packages_put_it(daemon: Daemon, tmp_path: Path) -> None:
    place = tmp_path / "incus"

    assert find_socket({"INCUS_DIR": str(place)}) == place / "unix.socket"
    with pytest.raises(AgentError, match="there is no socket"):
        find_socket({}, tmp_path)


def test_the_space_of_pool_and_volumes(incus: Incus, tmp_path: Path) -> None:
    assert incus.pool_space("asrbox") == (1 << 20, 1 << 40)
    assert incus.image_volumes("asrbox") == {"a" * 64}
    assert incus.volume_space("asrbox", "data") == (10, 100)
    assert [incus.volume_space("asrbox", name) for name in ("unlimited", "nothing", "uncounted")] == [None] * 3
    assert incus.free_for_images() is None
    (tmp_path / "incus/images").mkdir()
    assert (incus.free_for_images() or 0) > 0


def test_a_pool_that_is_a_file_system_is_asked_what_files_may_take(
    incus: Incus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "is_mount", lambda self: self == tmp_path / "incus/storage-pools/asrbox")
    monkeypatch.setattr(os, "statvfs", lambda place: SimpleNamespace(f_bavail=3, f_frsize=4096))

    assert incus.pool_space("asrbox") == ((1 << 40) - 3 * 4096, 1 << 40)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An unpacked image."""
    folder = tmp_path / "set/auth"
    for name in ("rootfs/etc", "templates"):
        (folder / name).mkdir(parents=True)
    (folder / "metadata.yaml").write_text("architecture: x86_64\n")
    (folder / "rootfs/etc/big").write_bytes(b"x" * (3 << 20))
    return folder


def size_of(tree: Path) -> int:
    """How long the image of a tree is, out of the complaint about a wrong length."""
    stream = TarStream(tree, 1 << 30, "auth")
    with pytest.raises(AgentError) as found:
        list(stream)
    return int(str(found.value).split("it has ")[1].split(" ")[0])


def test_an_image_is_streamed_and_its_fingerprint_compared(daemon: Daemon, incus: Incus, tree: Path) -> None:
    size = size_of(tree)
    daemon.operation["metadata"] = {"fingerprint": "a" * 64}
    image = Image(appliance="auth", instance="auth", fingerprint="a" * 64, size=size)

    images.import_image(incus, tree.parent, image)

    assert len(daemon.uploaded) == size
    assert b"architecture: x86_64" in daemon.uploaded
    wrong = image.model_copy(update={"fingerprint": "b" * 64})
    with pytest.raises(AgentError, match="its fingerprint is aaaaaaaaaaaa, the build recorded bbbbbbbbbbbb"):
        images.import_image(incus, tree.parent, wrong)
    assert daemon.requests[-2] == f"DELETE /1.0/images/{'a' * 64}"


def test_an_image_longer_than_recorded_is_damaged(tree: Path) -> None:
    with pytest.raises(AgentError, match="auth: read the image set: it is longer than the 1024 bytes"):
        list(TarStream(tree, 1024, "auth"))


def test_an_image_with_a_missing_part_is_damaged(tree: Path) -> None:
    size = size_of(tree)
    (tree / "metadata.yaml").unlink()

    with pytest.raises(AgentError, match="auth: read the image set: tar failed"):
        list(TarStream(tree, size, "auth"))


def test_a_squashfs_that_was_copied_halfway_is_not_mounted(tmp_path: Path) -> None:
    squashfs = tmp_path / "images.squashfs"
    squashfs.write_bytes(b"x" * 10)

    with pytest.raises(AgentError, match="has 10 bytes instead of 4096"), images.mounted(squashfs, 4096, tmp_path):
        pass
