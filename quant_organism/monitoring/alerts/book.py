"""The book of alerts: which last, what was told of them and when, and what each channel has not taken yet.

Each alert is told once when it begins, again while it lasts, once as critical when it lasts too long, and when it is
over. A channel that does not take a notice is asked again at the next look, so that each notice arrives at least once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from quant_organism.errors import IntegrityError
from quant_organism.monitoring.alerts.channels import HIDDEN, Channel, DeliveryError, Notice
from quant_organism.monitoring.alerts.rules import Alert
from quant_organism.monitoring.components import ComponentHealth
from quant_organism.resilience import write_file

_MOST_WAITING: Final = 100
_SILENT_S: Final = 300.0
_FILE: Final = "state.json"


@dataclass(frozen=True)
class AlertTimes:
    """When alerts are told again.

    Attributes
    ----------
    repeat_s
        While it lasts.
    escalate_s
        After so long a warning becomes critical.
    heartbeat_s
        How often "I am alive" is told.
    """

    repeat_s: float = 6 * 3_600.0
    escalate_s: float = 3_600.0
    heartbeat_s: float = 24 * 3_600.0


@dataclass(frozen=True)
class OpenAlert:
    """An alert that lasts, since when, and what was told of it last."""

    key: str
    severity: Literal["warning", "critical"]
    title: str
    text: str
    remedy: str
    since_ms: int
    told_ms: int
    run: str = ""


class AlertBook:
    """Alerts of a data folder; of one process, which keeps it while it looks.

    Parameters
    ----------
    folder
        Where it lies; made on the first look.
    channels
        To whom notices go.
    times
        When they are told again.
    secrets
        Texts that no notice may hold.

    Raises
    ------
    IntegrityError
        What lies there cannot be read.
    """

    def __init__(
        self, folder: Path, channels: Sequence[Channel], times: AlertTimes, *, secrets: Sequence[str] = ()
    ) -> None:
        self._path, self._channels, self._times = folder / _FILE, tuple(channels), times
        self._secrets = tuple(secret for secret in secrets if secret)
        state = _read(self._path)
        self.open = {one["key"]: OpenAlert(**one) for one in state.get("open", ())}
        """Alerts that last, by their key."""
        self._alive_ms = int(state.get("alive_ms", 0))
        waiting = state.get("waiting", {})
        self._waiting = {one.name: [Notice(**notice) for notice in waiting.get(one.name, ())] for one in self._channels}
        self._problems: dict[str, str] = {}

    def look(self, alerts: Sequence[Alert], now_ms: int, level: str) -> list[Notice]:
        """Compare what is alarming now with what was, tell what is to be told, and return it.

        Parameters
        ----------
        alerts
            What is alarming now.
        now_ms
            UTC milliseconds.
        level
            Of health, for the heartbeat.

        Raises
        ------
        StorageError
            The folder cannot be written; what was due has been told, and the book goes on from there.
        """
        notices = self._due([self._scrubbed(alert) for alert in alerts], now_ms, level)
        for name, waiting in self._waiting.items():
            alive = [one for one in notices if one.kind == "alive"]
            kept = [one for one in waiting if one.kind != "alive"] if alive else waiting
            self._waiting[name] = [*kept, *notices][-_MOST_WAITING:]
        self._deliver()
        self._write(now_ms)
        return notices

    def _due(self, alerts: Sequence[Alert], now_ms: int, level: str) -> list[Notice]:
        due, now = [], {alert.key: alert for alert in alerts}
        for key in [key for key in self.open if key not in now]:
            over = self.open.pop(key)
            due.append(Notice(now_ms, "resolved", key, "info", over.title, "It is over.", run=over.run))
        for key, alert in now.items():
            before = self.open.get(key)
            one = OpenAlert(**asdict(alert), since_ms=now_ms, told_ms=now_ms)
            if before is None:
                due.append(_told(one, "raised", now_ms))
            else:
                lasts = now_ms - before.since_ms
                worse = before.severity == "warning" and (
                    alert.severity == "critical" or lasts >= 1e3 * self._times.escalate_s
                )
                one = replace(one, since_ms=before.since_ms, severity="critical" if worse else before.severity)
                if worse:
                    due.append(_told(one, "escalated", now_ms))
                elif now_ms - before.told_ms >= 1e3 * self._times.repeat_s:
                    due.append(_told(one, "again", now_ms))
                else:
                    one = replace(one, told_ms=before.told_ms)
            self.open[key] = one
        if now_ms - self._alive_ms >= 1e3 * self._times.heartbeat_s:
            self._alive_ms = now_ms
            text = f"Health is {level}; alerts that last: {', '.join(sorted(self.open)) or 'none'}."
            due.append(Notice(now_ms, "alive", "heartbeat", "info", "I am alive", text))
        return due

    def _scrubbed(self, alert: Alert) -> Alert:
        words = asdict(alert)
        for secret in self._secrets:
            words = {name: text.replace(secret, HIDDEN) for name, text in words.items()}
        return Alert(**words)

    def _deliver(self) -> None:
        for channel in self._channels:
            waiting = self._waiting[channel.name]
            self._problems.pop(channel.name, None)
            while waiting:
                try:
                    channel.send(waiting[0])
                except DeliveryError as error:
                    self._problems[channel.name] = f"{error.where}: {error.what}"
                    break
                waiting.pop(0)

    def _write(self, now_ms: int) -> None:
        state = {
            "looked_ms": now_ms,
            "alive_ms": self._alive_ms,
            "open": [asdict(one) for one in self.open.values()],
            "waiting": {name: [asdict(one) for one in waiting] for name, waiting in self._waiting.items()},
            "problems": self._problems,
        }
        write_file(self._path, orjson.dumps(state, option=orjson.OPT_INDENT_2))


def alerts_folder(data_dir: Path) -> Path:
    """Return where a data folder keeps its alerts."""
    return data_dir / "alerts"


def alerts_health(data_dir: Path, now_ms: int) -> ComponentHealth:
    """Return whether somebody looks for alerts, and whether every channel took what was told."""
    path = alerts_folder(data_dir) / _FILE
    if not path.exists():
        return ComponentHealth("alerts", "unused", "nobody has looked for any here")
    try:
        state = _read(path)
    except IntegrityError as error:
        return ComponentHealth("alerts", "unknown", error.what, remedy=error.remedy or "")
    age = (now_ms - int(state.get("looked_ms", 0))) / 1e3
    waiting = sum(len(notices) for notices in state.get("waiting", {}).values())
    if age > _SILENT_S:
        remedy = "start it again: quant-organism alerts watch, or its service"
        return ComponentHealth("alerts", "failed", "nobody looks for any", waiting, "notices waiting", age, remedy)
    if waiting:
        told = "; ".join(f"{name}: {problem}" for name, problem in state.get("problems", {}).items())
        remedy = "mend the channel, then: quant-organism alerts test"
        return ComponentHealth("alerts", "failed", told or "some wait", waiting, "notices waiting", age, remedy)
    if set(state.get("waiting", {})) <= {"log"}:
        remedy = "set QUANT_ORGANISM_ALERTS__WEBHOOK_URL or alerts.smtp_host, then: quant-organism alerts test"
        return ComponentHealth("alerts", "degraded", "only the log is told", 0, "notices waiting", age, remedy)
    return ComponentHealth("alerts", "ok", "every channel took what was told", 0, "notices waiting", age)


def _told(one: OpenAlert, kind: Literal["raised", "again", "escalated"], now_ms: int) -> Notice:
    return Notice(now_ms, kind, one.key, one.severity, one.title, one.text, one.remedy, one.run)


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(orjson.loads(path.read_bytes()))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise IntegrityError(
            f"the book of alerts cannot be read: {error}", where=str(path), remedy="remove it: what lasts is told anew"
        ) from error
