"""What the project is made of is told whole, and what could not be looked up does not count as sound."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from quant_organism_tests.conftest import REPOSITORY
from quant_organism_tests.sbom import LOCK, bill, locked


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return bill(LOCK.read_text())


def test_every_locked_package_is_in_the_bill_with_all_digests(document: dict[str, Any]) -> None:
    lines = LOCK.read_text().splitlines()
    pinned = {re.sub(r"\[.*\]", "", line.split(" ")[0]) for line in lines if "==" in line}
    assert {f"{each['name']}=={each['version']}" for each in document["components"]} == pinned
    digests = [one["content"] for each in document["components"] for one in each["externalReferences"][0]["hashes"]]
    assert sorted(digests) == sorted(re.findall("sha256:([0-9a-f]{64})", "\n".join(lines)))


def test_what_needs_what_hangs_together_from_the_program_down(document: dict[str, Any]) -> None:
    needs = {each["ref"]: each["dependsOn"] for each in document["dependencies"]}
    root = document["metadata"]["component"]["bom-ref"]
    reached, waiting = set(), [root]
    while waiting:
        if (one := waiting.pop()) not in reached:
            reached.add(one)
            waiting += needs[one]
    assert reached == {root, *(each["bom-ref"] for each in document["components"])}


def test_the_bill_of_a_lock_is_always_the_same_and_another_lock_has_another(document: dict[str, Any]) -> None:
    text = LOCK.read_text()
    assert json.dumps(bill(text)) == json.dumps(document)
    name, (version, digests, _) = next(iter(locked(text).items()))
    other = bill(text.replace(digests[0], "0" * 64))
    assert other["serialNumber"] != document["serialNumber"]
    assert (name, version) == (other["components"][0]["name"], other["components"][0]["version"])


def test_without_a_network_the_audit_of_packages_fails_and_says_why(tmp_path: Path) -> None:
    nowhere = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_EXTRA_INDEX_URL": "", "TMPDIR": str(tmp_path)}
    script = REPOSITORY / ".ci" / "audit-dependencies"
    asked = subprocess.run(["bash", script], env=os.environ | nowhere, capture_output=True, text=True, check=False)
    assert asked.returncode == 2
    assert "nothing was audited" in asked.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_forge_runs_what_everybody_runs_and_may_only_read() -> None:
    workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "ci.yml").read_text())
    assert workflow["permissions"] == {"contents": "read"}
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert commands == ["bash .ci/run", "make docs sbom", "bash .ci/audit-dependencies"]
    for target in ("docs", "sbom", "audit-deps"):
        assert subprocess.run(["make", "-n", target], cwd=REPOSITORY, capture_output=True, check=False).returncode == 0
