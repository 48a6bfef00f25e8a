"""docs/adding-an-appliance.md, done: a folder, a role and a line make a container that runs and answers."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from builder import lock, workshop
from builder.resolve import Project, load
from tests.conftest import ROOT, Built
from tests.containers.incus_host import incus_host

PARTS = ("appliances", "distro", "docs", "images", "kickstart", "roles")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A copy of this checkout with the appliance `warehouse` in it."""
    root = tmp_path / "checkout"
    for part in PARTS:
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    example = Path(__file__).parent / "warehouse"
    folder = root / "appliances/warehouse"
    folder.mkdir()
    for name in ("__init__.py", "appliance.yaml", "app.py"):
        shutil.copyfile(example / name, folder / name)
    tasks = root / "roles/warehouse/tasks/main.yml"
    tasks.parent.mkdir(parents=True)
    shutil.copyfile(example / "tasks.yml", tasks)
    line = root / "distro/asrbox.yaml"
    line.write_text(line.read_text().replace("  asr_billing: 3\n", "  asr_billing: 3\n  warehouse: 4\n"))
    return Project(root)


def lock_without_a_mirror(project: Project) -> None:
    """What `asrbox lock` would write: the appliance asks for no package that the others do not have already."""
    path = project.lock("debian-13")
    found = lock.read(path)
    trees, wanted = {**found.trees, "warehouse": []}, {**found.wanted, "warehouse": []}
    lock.write(path, dataclasses.replace(found, trees=trees, wanted=wanted))
    shutil.copyfile(project.wheel_lock("debian-13", "base"), project.wheel_lock("debian-13", "warehouse"))


@pytest.mark.timeout(1200)
def test_a_fourth_appliance_runs_with_nothing_but_its_folder_role_and_line(
    built: Built, project: Project, tmp_path: Path
) -> None:
    lock_without_a_mirror(project)
    settings = workshop.Settings(built.store.path, tmp_path / "build", store_limit=1 << 40)
    shop = workshop.Workshop(load(project), settings, built.store)
    with workshop.opened(built.store):
        steps, outcomes = workshop.build(shop, built.store, ["imageset"])
    made = {outcome.step.name for outcome in outcomes if not outcome.reused}
    own = {"packages:warehouse", "tree:warehouse", "image:warehouse", "imageset"}
    assert own <= set(steps.steps)
    assert made <= own  # a store that knows this appliance from an earlier run makes fewer

    images = tmp_path / "images"
    images.mkdir()
    for name in ("images.squashfs", "images.json"):
        (images / name).symlink_to(built.store.out(steps.steps["imageset"]) / name)
    (images / "distribution.json").write_text(json.dumps(shop.resolved.as_json()))
    with incus_host(built.host_tree, tmp_path / "host") as host:
        host.put_image_set(images)
        host.start_agent()
        host.wait_ready(600)
        shown = host.asrctl("status").stdout
        assert "198.18.84.2:443" in shown
        answer = host.in_container("warehouse", "/opt/asrbox/bin/python", "-c", ASK)
        assert json.loads(answer)["checks"]["shelves"]["detail"] == "3 shelves"


ASK = """
import ssl, urllib.request
context = ssl.create_default_context(cafile="/etc/asrbox/tls/ca.crt")
answer = urllib.request.urlopen("https://web.warehouse.asrbox.internal/healthz", context=context, timeout=20)
print(answer.read().decode())
"""
