"""A lake on an object store, by the program as a person starts it, against a server on this machine that speaks S3.

    python -m quant_organism_tests.s3

runs a whole cycle with the lake in a folder, the same with the lake in a bucket, kills one in the middle and has it go
on, asks both what they hold, takes the server away, and ends with 1 if anything differs.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from quant_organism.cli.output import print_table
from quant_organism.resilience import ObjectPath, take_keys_from
from quant_organism.settings import credential
from quant_organism_tests.program import Said, finish, start
from quant_organism_tests.s3_server import KEY, S3Server, s3_server
from quant_organism_tests.tiny import write_world

NOT_COMPARED: Final = "holdout_openings"
"""A register that says when unseen days were looked at, by the machine's clock."""

PATIENCE_S: Final = 1800.0
"""For a command to end, on a machine that does much else."""

ASKED: Final = (
    ("runs", "list"),
    ("trials", "summary"),
    ("sql", "select date, cycle, candidate, gate, status from validation_verdicts order by all", "--csv"),
    ("data", "list", "--json"),
    ("strategies", "list"),
)
"""Questions whose answers do not depend on where the lake is."""


def rehearse(folder: Path, server: S3Server) -> list[tuple[str, bool, str]]:
    """Return what was looked at, whether it was as it should be, and what was seen."""
    here, there, killed = folder / "here", folder / "there", folder / "killed"
    buckets = {there: server.folder("there"), killed: server.folder("killed")}
    for place in (here, there, killed):
        place.mkdir()
    for place, bucket in buckets.items():
        _call(place, "data", "place", str(bucket), "--endpoint", server.endpoint)
    run = ("run", "--world", write_world(folder), "--profile", "smoke")
    rows = []
    ends = [_call(place, *run) for place in (here, there)]
    rows.append(("a whole cycle in a folder and in a bucket", _good(*ends), _last(ends)))

    moment = _killed(killed, run, buckets[killed])
    again = _call(killed, *run)
    rows.append((f"killed {moment}, then run again", _good(again), _last([again])))

    expected = _files_of_folder(here / "data" / "lake")
    for place, bucket in buckets.items():
        files = _files_of_bucket(bucket)
        differing = sorted(name for name in expected.keys() | files.keys() if expected.get(name) != files.get(name))
        rows.append(
            (f"files of the lake, {place.name}", not differing, f"{len(files)} files, differing: {differing[:5]}")
        )

    for question in ASKED:
        answers = [_call(place, *question) for place in (here, there, killed)]
        same = _good(*answers) and len({answer.out for answer in answers}) == 1
        rows.append((" ".join(question)[:60], same, f"{len(answers[0].out.splitlines())} lines"))
    doctor = _call(there, "doctor")
    rows.append(("doctor", _good(doctor), _last([doctor])))
    backup = _call(there, "backup", folder / "backup", "--json")
    rows.append(
        ("backup says what is not in it", str(buckets[there]) in json.loads(backup.out)["not_in_it"], "the lake")
    )

    for name, environment in (("without a key", dict.fromkeys(KEY, "")), ("without the server", KEY)):
        if name == "without the server":
            server.process.kill()
            server.process.wait()
        refused = _call(there, *run, environment=environment)
        said = "holds no key" if name == "without a key" else f"{server.endpoint} does not answer"
        good = refused.code != 0 and said in refused.err and "Traceback" not in refused.err
        rows.append((f"run {name}", good, refused.err.strip().splitlines()[0] if refused.err else "nothing said"))
    return rows


def _call(place: Path, *arguments: str | Path, environment: Mapping[str, str] = KEY) -> Said:
    return finish(*arguments, "--data-dir", "data", folder=place, environment=environment, seconds=PATIENCE_S)


def _good(*ends: Said) -> bool:
    return all(end.code == 0 for end in ends)


def _last(ends: list[Said]) -> str:
    bad = [end.err.strip() for end in ends if end.code]
    return bad[0][-200:] if bad else "ended with 0"


def _killed(place: Path, run: tuple[str | Path, ...], bucket: ObjectPath) -> str:
    """Kill a run as soon as it has stored candidates."""
    process = start(*run, "--data-dir", "data", folder=place, environment=KEY)
    while process.poll() is None:
        if (bucket / "candidates").exists():
            process.kill()
            process.communicate()
            return "when it had stored candidates"
        time.sleep(0.05)
    process.communicate()
    return "too late"


def _files_of_folder(root: Path) -> dict[str, bytes]:
    paths = [path for path in root.rglob("*") if path.is_file()]
    return _compared({path.relative_to(root).as_posix(): path.read_bytes() for path in paths})


def _files_of_bucket(root: ObjectPath) -> dict[str, bytes]:
    return _compared({"/".join(path.keys[len(root.keys) :]): path.read_bytes() for path in root.rglob("*")})


def _compared(files: dict[str, bytes]) -> dict[str, bytes]:
    return {
        name: content
        for name, content in files.items()
        if not name.startswith(f"{NOT_COMPARED}/") and not name.endswith(".lock")
    }


def main() -> int:
    """Rehearse in a folder that is gone afterwards, and say what came of it."""
    os.environ.update(KEY)
    take_keys_from(credential)
    with tempfile.TemporaryDirectory() as folder, s3_server() as server:
        rows = rehearse(Path(folder), server)
    print_table(
        ("what", "as it should be", "seen"), [(what, "yes" if good else "NO", seen) for what, good, seen in rows]
    )
    return 0 if all(good for _, good, _ in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
