"""The software bill of materials, as CycloneDX 1.6: every locked package with version, digests, licence and needs.

``python -m quant_organism_tests.sbom FILE`` (`make sbom`). Versions and digests are the lock's, licences and needs are
what the installed packages state; nothing is asked of a network, and the same lock gives the same bytes.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from quant_organism_tests.conftest import REPOSITORY

LOCK: Final = REPOSITORY / "requirements.lock"
_ENTRY: Final = re.compile(
    r"^([A-Za-z0-9._-]+)(\[[^]]*\])?==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M
)


def locked(text: str) -> dict[str, tuple[str, list[str], set[str]]]:
    """Return the packages of a lock by name: version, SHA-256 of each file, extras."""
    return {
        canonicalize_name(name): (
            version,
            re.findall(r"sha256:([0-9a-f]{64})", digests),
            {extra.strip() for extra in extras.strip("[]").split(",") if extra.strip()},
        )
        for name, extras, version, digests in _ENTRY.findall(text)
    }


def bill(text: str) -> dict[str, Any]:
    """Return the bill of a lock of this project."""
    packages = locked(text)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    main = f"pkg:pypi/{project['name']}@{project['version']}"
    references = {name: f"pkg:pypi/{name}@{version}" for name, (version, _, _) in packages.items()}
    wanted = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    needs = {main: _needs(wanted, set(), references)}
    components = []
    for name, (version, digests, extras) in sorted(packages.items()):
        installed = distribution(name)
        needs[references[name]] = _needs(installed.requires or (), extras, references)
        files = [{"alg": "SHA-256", "content": digest} for digest in digests]
        components.append(
            {
                "type": "library",
                "bom-ref": references[name],
                "name": name,
                "version": version,
                "purl": references[name],
                **_licence(installed),
                "externalReferences": [
                    {"type": "distribution", "url": f"https://pypi.org/project/{name}/{version}/", "hashes": files}
                ],
            }
        )
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, main + text)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": main,
                "name": project["name"],
                "version": project["version"],
            }
        },
        "components": components,
        "dependencies": [{"ref": name, "dependsOn": below} for name, below in sorted(needs.items())],
    }


def _needs(lines: Iterable[str], extras: set[str], references: dict[str, str]) -> list[str]:
    wanted = [Requirement(line) for line in lines]
    return sorted(
        {
            references[canonicalize_name(need.name)]
            for need in wanted
            if canonicalize_name(need.name) in references
            and (need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras)))
        }
    )


def _licence(package: Distribution) -> dict[str, Any]:
    stated = package.metadata.get("License-Expression")
    if stated:
        return {"licenses": [{"expression": stated}]}
    classes = [
        line.rpartition(" :: ")[2] for line in package.metadata.get_all("Classifier") or () if "License ::" in line
    ]
    short = (package.metadata.get("License") or "").strip()
    names = classes or ([short] if 0 < len(short) < 80 and "\n" not in short else [])
    return {"licenses": [{"license": {"name": name}} for name in names]} if names else {}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(bill(LOCK.read_text()), indent=1) + "\n")
