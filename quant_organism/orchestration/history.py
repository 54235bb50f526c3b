"""Where Dagster keeps runs, events and schedules: SQLite files in its home, or a PostgreSQL server.

The server's address has a password in it. It stands in the environment and nowhere else: no settings, log, error or
backup has it.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Self

import orjson
import yaml
from sqlalchemy import URL, Connection, Engine, create_engine, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from quant_organism.errors import InputError, IntegrityError, StorageError
from quant_organism.resilience import write_file
from quant_organism.settings import credential

ADDRESS_VARIABLE: Final = "DAGSTER_POSTGRES_URL"

SQLITE_SECTION: Final = """\
# SQLite, with range backfills written in one transaction. To keep runs, events and schedules in PostgreSQL instead:
# quant-organism history move
event_log_storage:
  module: quant_organism.orchestration
  class: EventLog
  config:
    base_dir:
      env: DAGSTER_HOME
"""

POSTGRES_SECTION: Final = f"""\
# Runs, events and schedules are in PostgreSQL; its address, with the password in it, stands in the environment alone.
storage:
  postgres:
    postgres_url:
      env: {ADDRESS_VARIABLE}
"""

_PASSWORD: Final = re.compile(r"://[^/@\s]*:[^/@\s]+@")
_DRIVER: Final = "postgresql+psycopg2"
"""What comes with dagster-postgres; by the plain name SQLAlchemy looks for another one, and Dagster with it."""

_HOLDER: Final = "quant_organism/home"
"""Key under which the server keeps whose history it is."""

_TOKEN_FILE: Final = "history.json"
_PATIENCE_S: Final = 5


@dataclass(frozen=True)
class HistoryServer:
    """The database that a home's runs, events and schedules are in.

    It is that of one home: who settles runs that died must not take those of another folder for dead.

    Attributes
    ----------
    url
        Its address.
    home
        The Dagster home.
    """

    url: URL = field(repr=False)
    home: Path

    @classmethod
    def of(cls, home: Path) -> Self | None:
        """Return the server that `dagster.yaml` names; None where history is in files. As `variable_of` and `named`."""
        variable = variable_of(home)
        return None if variable is None else cls.named(home, variable)

    @classmethod
    def named(cls, home: Path, variable: str = ADDRESS_VARIABLE) -> Self:
        """Return the server whose address an environment variable holds.

        Raises
        ------
        InputError
            It holds none, or the package that talks to PostgreSQL is not installed.
        """
        form = f"{_DRIVER}://USER:PASSWORD@HOST:5432/DATABASE"
        if (address := credential(variable)) is None:
            raise InputError(
                "Dagster's history is in PostgreSQL, and nobody says where", where=variable, remedy=f"set it to {form}"
            )
        try:
            url = make_url(address.get_secret_value())
        except (ArgumentError, ValueError):
            url = None
        if url is None or url.drivername != _DRIVER or not url.database:
            raise InputError("not the address of a PostgreSQL database", where=variable, remedy=f"set it to {form}")
        if find_spec("dagster_postgres") is None:
            raise InputError(
                "the package dagster-postgres is not installed", remedy="pip install 'quant-organism[postgres]'"
            )
        return cls(url, home)

    @property
    def where(self) -> str:
        """Say which database it is, without user and password."""
        host = self.url.host or self.url.query.get("host") or "this machine"
        return f"PostgreSQL database {self.url.database} on {host}" + (f":{self.url.port}" if self.url.port else "")

    @cached_property
    def engine(self) -> Engine:
        """Connects to it anew each time."""
        return create_engine(self.url, poolclass=NullPool, connect_args={"connect_timeout": _PATIENCE_S})

    def check(self) -> bool:
        """See whether it answers, and return whether it is noted there as this home's; False: as nobody's.

        Raises
        ------
        StorageError
            It does not answer, or turns us away.
        IntegrityError
            It holds the history of another home.
        """
        holder = self._holder()
        if holder is not None and holder != self._token():
            raise IntegrityError(
                f"it holds the history of another data folder, {holder.partition(' ')[2]}",
                where=self.where,
                remedy="give this folder a database of its own in "
                f"{ADDRESS_VARIABLE}; if that folder is gone: quant-organism history move --take-over",
            )
        return holder is not None

    def claim(self, connection: Connection) -> None:
        """Note at the server, where Dagster's tables are, that the history is this home's, whosever it was before."""
        claim = secrets.token_hex(8)
        write_file(self.home / _TOKEN_FILE, orjson.dumps({"claim": claim}))
        note = "INSERT INTO kvs (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = :value"
        connection.execute(text(note), {"key": _HOLDER, "value": f"{claim} {self.home}"})

    def _holder(self) -> str | None:
        try:
            with self.engine.connect() as connection:
                if not inspect(connection).has_table("kvs"):
                    return None
                found = connection.execute(text("SELECT value FROM kvs WHERE key = :key"), {"key": _HOLDER}).scalar()
        except SQLAlchemyError as error:
            said = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
            raise StorageError(
                f"the server of Dagster's history does not let us in: {said}",
                where=self.where,
                remedy=f"start it, or correct {ADDRESS_VARIABLE}; lake, documents and reports do not hang on it",
            ) from None
        return None if found is None else str(found)

    def _token(self) -> str | None:
        path = self.home / _TOKEN_FILE
        if not path.is_file():
            return None
        try:
            return f"{orjson.loads(path.read_bytes())['claim']} {self.home}"
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise IntegrityError(
                f"not what was written: {error}", where=str(path), remedy="quant-organism history move --take-over"
            ) from error


def variable_of(home: Path) -> str | None:
    """Return which environment variable has the address of the server; None where history is in files.

    Raises
    ------
    InputError
        A password stands in `dagster.yaml`, or PostgreSQL is named in a way that might bring one there.
    """
    path = home / "dagster.yaml"
    written = path.read_text(encoding="utf-8") if path.exists() else ""
    config = _postgres_of(written)
    address = None if config is None else config.get("postgres_url")
    variable = address.get("env") if isinstance(address, Mapping) else None
    if _PASSWORD.search(written) or (config is not None and (not isinstance(variable, str) or "postgres_db" in config)):
        raise InputError(
            "the address of the PostgreSQL server stands in a file, or in parts",
            where=str(path),
            remedy=f"write it whole into {ADDRESS_VARIABLE}, and here under storage: postgres: no more than "
            f"postgres_url: {{env: {ADDRESS_VARIABLE}}}",
        )
    return variable if isinstance(variable, str) else None


def place_of(home: Path) -> str | None:
    """Say which database has the history, as far as that is known here; None where files have it. As `variable_of`."""
    if (variable := variable_of(home)) is None:
        return None
    try:
        return HistoryServer.named(home, variable).where
    except InputError:
        return f"the PostgreSQL database that {variable} names"


def _postgres_of(written: str) -> Mapping[str, Any] | None:
    """Return what the settings say of PostgreSQL; None where they say nothing of it, or nothing that can be read."""
    try:
        document = yaml.safe_load(written)
    except yaml.YAMLError:
        return None
    storage = document.get("storage") if isinstance(document, Mapping) else None
    config = storage.get("postgres") if isinstance(storage, Mapping) else None
    return config if isinstance(config, Mapping) else None
