"""Units of systemd that keep an installation running: web UI with its daemon, trader, its figures, alerts and backups.

Every unit runs as an ordinary user, for whom all but the data folder is read-only, and whose files only it can read;
code made elsewhere as another one, who sees no data folder at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

from quant_organism.errors import InputError

TARGET: Final = "quant-organism.target"
SECRETS: Final = "/etc/quant-organism/secrets.env"
"""Variables with secrets, of root alone; systemd reads it, and it need not be there."""

_USER: Final = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_PREFIX: Final = "quant-organism"
_CACHE: Final = "quant-organism"
_KEPT_DAYS: Final = 14
_CODE: Final = f"{_PREFIX}-code"
CODE_SOCKET: Final = f"/run/{_CODE}/code.sock"
"""Where code made elsewhere is asked, if a user of its own runs it."""

_HARDENED: Final = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM"""
_CALLS: Final = "SystemCallFilter=@system-service"
_WALLS: Final = "SystemCallFilter=@system-service @mount"
"""Calls of who shuts code made elsewhere in: its walls are mounts in a namespace of its own."""


@dataclass(frozen=True)
class Installation:
    """What units are made for.

    Attributes
    ----------
    program
        The `quant-organism` command, absolute.
    user
        Who runs it; not root.
    folder
        Where commands start, and look for `quant_organism.toml`; absolute.
    data_dir, backups
        Data folder, and where backups go; absolute, and not one in the other.
    mode
        What the trader does; real money is traded only once a person has typed the account's address.
    code_user
        Who runs code made elsewhere for a trader that sends orders; empty: nobody does.

    Raises
    ------
    InputError
        A path or name cannot be used.
    """

    program: Path
    user: str
    folder: Path
    data_dir: Path
    backups: Path
    mode: Literal["paper", "testnet"] = "paper"
    code_user: str = ""

    def __post_init__(self) -> None:
        if self.user == "root" or not _USER.fullmatch(self.user):
            raise InputError(
                f"services do not run as {self.user!r}",
                where="option --user",
                remedy="name an ordinary user that owns the data folder",
            )
        if self.code_user and (self.code_user in ("root", self.user) or not _USER.fullmatch(self.code_user)):
            raise InputError(
                f"code made elsewhere is not run as {self.code_user!r}",
                where="option --code-user",
                remedy=f"name an ordinary user that owns nothing, and is not {self.user}",
            )
        for path in (self.program, self.folder, self.data_dir, self.backups):
            if not path.is_absolute() or any(sign in str(path) for sign in "\n\"'\\"):
                raise InputError(
                    "not an absolute path without quotes, line breaks and backslashes",
                    where=repr(str(path)),
                    remedy="choose another folder",
                )
        if self.backups.is_relative_to(self.data_dir) or self.data_dir.is_relative_to(self.backups):
            raise InputError(
                f"backups in {self.backups} would lie in what they are of, or hold it",
                where="option --backups",
                remedy="choose a folder outside of the data folder, best on another disk",
            )


def service_files(installation: Installation) -> dict[str, str]:
    """Return units, alert rules and board by the names of their files."""
    ui = f"{_PREFIX}-ui.service"
    units = {
        TARGET: _target(),
        ui: _service(installation, "web UI with its daemon", "ui", shuts_in=True),
        f"{_PREFIX}-trader.service": _service(
            installation, "trader", _trading(installation), shuts_in=installation.mode == "paper"
        ),
        f"{_PREFIX}-metrics.service": _service(installation, "figures of the trader", "trade metrics"),
        f"{_PREFIX}-alerts.service": _service(installation, "watch that tells alerts", "alerts watch"),
        f"{_PREFIX}-backup.service": _backup(installation),
        f"{_PREFIX}-backup.timer": _timer(),
    }
    if installation.code_user:
        units[f"{_CODE}.service"] = _code(installation)
    shipped = files("quant_organism.monitoring") / "prometheus"
    return units | {name: (shipped / name).read_text(encoding="utf-8") for name in ("rules.yaml", "board.json")}


def _target() -> str:
    wanted = " ".join(
        f"{_PREFIX}-{name}" for name in ("ui.service", "metrics.service", "alerts.service", "backup.timer")
    )
    return f"""\
[Unit]
Description=quant_organism: all but the trader, which is enabled by itself
Wants={wanted}

[Install]
WantedBy=multi-user.target
"""


def _trading(installation: Installation) -> str:
    asks = f" --code-socket {CODE_SOCKET}" if installation.code_user else ""
    return f"trade start --mode {installation.mode}{asks}"


def _code(installation: Installation) -> str:
    # It builds walls of its own around the code, which takes mounts in a namespace; it sees no data and no network.
    hidden = " ".join(f'"-{_escaped(path)}"' for path in (installation.data_dir, installation.backups))
    hardened = _HARDENED.replace("AF_UNIX AF_INET AF_INET6", "AF_UNIX").replace(_CALLS, _WALLS)
    return f"""\
[Unit]
Description=quant_organism: code made elsewhere, as a user of its own
Before={_PREFIX}-trader.service
PartOf={TARGET}

[Service]
Type=exec
ExecStart={_quoted(installation.program)} trade code-server {CODE_SOCKET} --asker {installation.user}
KillSignal=SIGINT
TimeoutStopSec=60
SuccessExitStatus=130
Restart=on-failure
RestartSec=10
User={installation.code_user}
RuntimeDirectory={_CODE}
CacheDirectory={_CODE}
Environment=NUMBA_CACHE_DIR=/var/cache/{_CODE} MPLCONFIGDIR=/var/cache/{_CODE}
UMask=0077
InaccessiblePaths={hidden} -/etc/{_PREFIX}
IPAddressDeny=any
PrivateNetwork=yes
{hardened}

[Install]
WantedBy=multi-user.target
"""


def _service(installation: Installation, what: str, command: str, *, shuts_in: bool = False) -> str:
    common = _common(installation, installation.data_dir)
    if shuts_in:
        common = common.replace(_CALLS, _WALLS)
    return f"""\
[Unit]
Description=quant_organism: {what}
Wants=network-online.target
After=network-online.target time-sync.target
PartOf={TARGET}
StartLimitIntervalSec=600
StartLimitBurst=5

[Service]
Type=exec
ExecStart={_quoted(installation.program)} {command} --data-dir {_quoted(installation.data_dir)}
# Ctrl-C is how every command ends in order: nothing more is entered, stops stay where they rest.
KillSignal=SIGINT
TimeoutStopSec=120
SuccessExitStatus=130
Restart=on-failure
RestartSec=10
{common}

[Install]
WantedBy={TARGET if "trade start" not in command else "multi-user.target"}
"""


def _backup(installation: Installation) -> str:
    named = f"{_in_shell(installation.backups)}/$$(date -u +%%Y-%%m-%%dT%%H%%M%%SZ)"
    command = f"{_in_shell(installation.program)} backup {named} --data-dir {_in_shell(installation.data_dir)}"
    old = f"-maxdepth 1 -type d -name '????-??-??T??????Z' -mtime +{_KEPT_DAYS} -exec rm -rf {{}} +"
    return f"""\
[Unit]
Description=quant_organism: a backup of the data folder

[Service]
Type=oneshot
ExecStart=/bin/sh -c "exec {command}"
# Only after a backup that is whole: those of more than {_KEPT_DAYS} days ago.
ExecStartPost=/usr/bin/find {_quoted(installation.backups)} -mindepth 1 {old}
Nice=10
{_common(installation, installation.data_dir, installation.backups)}
"""


def _timer() -> str:
    return """\
[Unit]
Description=quant_organism: a backup every day, before the night

[Timer]
OnCalendar=*-*-* 23:00:00 UTC
Persistent=yes

[Install]
WantedBy=timers.target
"""


def _common(installation: Installation, *writable: Path) -> str:
    paths = " ".join(f'"{_escaped(path)}"' for path in writable)
    return f"""\
User={installation.user}
WorkingDirectory={_escaped(installation.folder)}
EnvironmentFile=-{SECRETS}
CacheDirectory={_CACHE}
Environment=NUMBA_CACHE_DIR=/var/cache/{_CACHE} MPLCONFIGDIR=/var/cache/{_CACHE}
UMask=0077
ReadWritePaths={paths}
{_HARDENED}"""


# A percent sign is a specifier of systemd everywhere, a dollar sign a variable in commands alone.


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")


def _quoted(path: Path) -> str:
    return f'"{_escaped(path)}"'.replace("$", "$$")


def _in_shell(path: Path) -> str:
    return f"'{_escaped(path)}'".replace("$", "$$")
