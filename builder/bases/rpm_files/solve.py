"""Asks dnf's solver. Runs under the system's Python, which alone has dnf: JSON on standard input, JSON on output.

request: {"action": "resolve" | "find", "state": folder, "architecture", "release", "module_platform",
          "repositories": [{"name", "url", "exclude": [..]}], …}
resolve: "trees": [{"tree", "names": [..], "on": tree or null}] → {"trees": {tree: [row]}}
find:    "packages": [{"name", "version", "architecture", "repository"}] → {"found": [row or null]}
row:     {"name", "version", "architecture", "repository", "path", "size", "checksum": [kind, hex]}
What goes wrong: {"problem": {"kind": "unknown" | "unsolvable" | "repository" | "dnf", "text", "tree", "names"}}
"""

import json
import sys
from pathlib import Path
from typing import Any


def version_of(package: Any) -> str:
    """Version and release, with the epoch in front unless it is 0."""
    plain = f"{package.version}-{package.release}"
    return f"{package.epoch}:{plain}" if package.epoch else plain


def row_of(package: Any) -> dict[str, Any]:
    """What a lock says of a package."""
    kind, digest = package.returnIdSum()
    return {
        "name": package.name,
        "version": version_of(package),
        "architecture": package.arch,
        "repository": package.reponame,
        "path": package.location,
        "size": package.downloadsize,
        "checksum": [kind, digest],
    }


def opened(request: dict[str, Any]) -> Any:
    """dnf with nothing of this machine's configuration, and the repositories' metadata loaded."""
    import dnf  # type: ignore[import-not-found]

    state = Path(request["state"])
    settings = {
        "cachedir": "cache",
        "persistdir": "persist",
        "logdir": "log",
        "installroot": "root",
        "pluginconfpath": "none",
        "modulesdir": "root/modules",
    }
    conf = dnf.conf.Conf()
    for key, folder in settings.items():
        (state / folder).mkdir(parents=True, exist_ok=True)
        if hasattr(conf, key):
            setattr(conf, key, str(state / folder))
    conf.reposdir = [str(state / "none")]
    conf.varsdir = [str(state / "none")]
    conf.plugins = False
    conf.best = True
    conf.strict = True
    conf.install_weak_deps = False
    conf.skip_if_unavailable = False
    conf.metadata_expire = 0
    conf.timeout = 20
    conf.retries = 3
    conf.assumeyes = True
    conf.substitutions.update(
        arch=request["architecture"], basearch=request["architecture"], releasever=request["release"]
    )
    if request["module_platform"]:
        conf.module_platform_id = request["module_platform"]
    base = dnf.Base(conf)
    for repository in request["repositories"]:
        base.repos.add_new_repo(
            repository["name"],
            conf,
            baseurl=[repository["url"]],
            excludepkgs=repository["exclude"],
            skip_if_unavailable=False,
        )
    base.fill_sack(load_system_repo=False)
    return base


def exact(base: Any, row: dict[str, Any]) -> Any:
    """The package of a row, or None."""
    epoch, _, rest = row["version"].rpartition(":")
    version, _, release = rest.rpartition("-")
    query = base.sack.query().filterm(
        name=row["name"], epoch=int(epoch or 0), version=version, release=release, arch=row["architecture"]
    )
    found = list(query.filterm(reponame=row["repository"]))
    return found[0] if found else None


def resolve(base: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Each tree by itself; one that is put on another gets exactly that other's packages first."""
    import dnf

    trees: dict[str, list[dict[str, Any]]] = {}
    for wanted in request["trees"]:
        base.reset(goal=True)
        below = trees[wanted["on"]] if wanted["on"] else []
        for row in below:
            base.package_install(exact(base, row), strict=True)
        try:
            base.install_specs(wanted["names"], strict=True)
            base.resolve()
        except dnf.exceptions.MarkingErrors as error:
            names = [*error.no_match_pkg_specs, *error.error_pkg_specs, *error.no_match_group_specs]
            return {"problem": {"kind": "unknown", "tree": wanted["tree"], "names": names, "text": str(error)}}
        except dnf.exceptions.DepsolveError as error:
            return {"problem": {"kind": "unsolvable", "tree": wanted["tree"], "text": str(error)}}
        chosen = [row_of(package) for package in base.transaction.install_set] if base.transaction else []
        trees[wanted["tree"]] = [row for row in chosen if row not in below]
    return {"trees": trees}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What the request asks for, or the problem with it."""
    try:
        import dnf
    except ImportError as error:
        return {"problem": {"kind": "dnf", "text": str(error)}}
    try:
        base = opened(request)
    except dnf.exceptions.RepoError as error:
        return {"problem": {"kind": "repository", "text": str(error)}}
    if request["action"] == "find":
        packages = [exact(base, row) for row in request["packages"]]
        return {"found": [package and row_of(package) for package in packages]}
    return resolve(base, request)


if __name__ == "__main__":
    json.dump(answer(json.load(sys.stdin)), sys.stdout)
