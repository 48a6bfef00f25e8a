"""What is there for one family of distributions is there for the other."""

from __future__ import annotations

import pytest

from builder.check import check_families
from builder.errors import AsrboxError
from builder.resolve import Project, load


def test_this_checkout_serves_both_families(project: Project) -> None:
    check_families(load(project))


def test_a_list_of_packages_for_one_family_only_is_refused(project: Project) -> None:
    path = project.appliance_file("asr_billing")
    text = "".join(line for line in path.read_text().splitlines(keepends=True) if not line.startswith("  el:"))
    path.write_text(text)

    with pytest.raises(AsrboxError) as failure:
        check_families(load(project))

    expected = "asr_billing/appliance.yaml: packages: there is no list for the family el\n  hint: add `el: [...]`"
    assert expected in str(failure.value)


def test_a_variable_of_a_role_for_one_family_only_is_refused(project: Project) -> None:
    path = project.role("asr_billing") / "vars" / "redhat.yml"
    path.write_text(path.read_text().replace("firebird_server:", "firebird_servant:"))

    with pytest.raises(AsrboxError) as failure:
        check_families(load(project))

    assert "redhat.yml: the variable firebird_server is not set" in str(failure.value)
    assert "debian.yml: the variable firebird_servant is not set" in str(failure.value)
