"""Channels by which notices leave: a log that is rotated, a webhook, and mail."""

from __future__ import annotations

import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from http.client import HTTPException
from logging import LogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final, Literal, Protocol
from urllib.parse import urlsplit

import orjson

from quant_organism.errors import InputError, QuantOrganismError

Severity = Literal["info", "warning", "critical"]
NoticeKind = Literal["raised", "again", "escalated", "resolved", "alive", "test"]
Security = Literal["starttls", "tls", "none"]

HIDDEN: Final = "[hidden]"
_SECONDS: Final = 10.0
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_LOG_BYTES: Final = 5_000_000
_LOG_FILES: Final = 5


@dataclass(frozen=True)
class Notice:
    """What is told.

    Attributes
    ----------
    at_ms
        UTC milliseconds.
    kind
        `raised`; `again`: it lasts; `escalated`: it lasts too long; `resolved`; `alive`: the heartbeat; `test`.
    key
        What it is about; the same from when it is raised until it is resolved.
    severity
        `info`, `warning` or `critical`.
    title, text, remedy
        In words; `remedy` is empty when nothing is to be done.
    run
        Correlation id of the run that it is about; empty when it is about none.
    """

    at_ms: int
    kind: NoticeKind
    key: str
    severity: Severity
    title: str
    text: str
    remedy: str = ""
    run: str = ""

    @property
    def headline(self) -> str:
        """One line of it."""
        return f"[{self.severity}] {self.title}" + ("" if self.kind == "raised" else f" ({self.kind})")

    @property
    def body(self) -> str:
        """All of it."""
        at = datetime.fromtimestamp(self.at_ms / 1e3, UTC)
        more = [f"{name}: {text}" for name, text in (("What to do", self.remedy), ("Run", self.run)) if text]
        return "\n".join([f"{at:%Y-%m-%d %H:%M:%S} UTC", self.text, *more])


class DeliveryError(QuantOrganismError):
    """A channel did not take a notice."""


class Channel(Protocol):
    """Where notices go."""

    name: str

    def send(self, notice: Notice) -> None:
        """Hand a notice over; a `DeliveryError` where it is not taken."""
        ...


class LogChannel:
    """Appends each notice as a line of JSON to a file, which is rotated.

    Parameters
    ----------
    path
        The file; its folder is made.
    """

    name = "log"

    def __init__(self, path: Path) -> None:
        self.path = path

    def send(self, notice: Notice) -> None:
        """Append it."""
        line = orjson.dumps({"at": datetime.fromtimestamp(notice.at_ms / 1e3, UTC), **_plain(notice)}).decode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handler = _Raising(self.path, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES, encoding="utf-8")
            try:
                handler.emit(LogRecord("alerts", 0, "", 0, line, None, None))
            finally:
                handler.close()
        except OSError as error:
            raise DeliveryError(f"the log cannot be written: {error.strerror}", where=str(self.path)) from error


class _Raising(RotatingFileHandler):
    def handleError(self, record: LogRecord) -> None:
        raise  # called while the exception is handled


class WebhookChannel:
    """Posts each notice as JSON; `text` has all of it, as most chat programs take it.

    Parameters
    ----------
    url
        Whoever knows it may post, so it is never shown; https, or http on this machine.

    Raises
    ------
    InputError
        It is neither.
    """

    name = "webhook"

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if not parts.hostname or not (
            parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
        ):
            raise InputError(
                "not an address that can be posted to in secret",
                where="setting alerts.webhook_url",
                remedy="give one that begins with https://",
            )
        self._url, self._host = url, parts.hostname
        self._opener = urllib.request.build_opener(_NoRedirect)

    def send(self, notice: Notice) -> None:
        """Post it; redirections are not followed."""
        document = {"text": f"{notice.headline}\n{notice.body}", **_plain(notice)}
        request = urllib.request.Request(
            self._url, data=orjson.dumps(document), headers={"Content-Type": "application/json"}, method="POST"
        )
        try:
            with self._opener.open(request, timeout=_SECONDS):
                pass
        except urllib.error.HTTPError as error:
            raise DeliveryError(f"it answered {error.code}", where=self._host) from None
        except (OSError, HTTPException, ValueError) as error:  # their texts may hold the address
            raise DeliveryError(f"it cannot be reached ({type(error).__name__})", where=self._host) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: object, **more: object) -> None:
        """Follow nothing: what is posted is for the host that was named."""


@dataclass(frozen=True)
class MailServer:
    """Who takes mail.

    Attributes
    ----------
    host, port
        Where.
    security
        `starttls`, `tls`, or `none`: on this machine alone.
    user, password
        Empty: it asks for none.
    """

    host: str
    port: int
    security: Security = "starttls"
    user: str = ""
    password: str = ""


class MailChannel:
    """Mails each notice.

    Parameters
    ----------
    server
        Who takes it.
    sender, receivers
        Addresses.

    Raises
    ------
    InputError
        There is nobody to mail to, or passwords would go over a network in the clear.
    """

    name = "mail"

    def __init__(self, server: MailServer, sender: str, receivers: Sequence[str]) -> None:
        if not sender or not receivers:
            raise InputError(
                "mail needs a sender and receivers", where="settings", remedy="set alerts.smtp_from and alerts.smtp_to"
            )
        if server.security == "none" and server.host not in _LOOPBACK:
            raise InputError(
                f"mail would go to {server.host} in the clear",
                where="setting alerts.smtp_security",
                remedy="use starttls or tls",
            )
        self._server, self._sender, self._receivers = server, sender, tuple(receivers)

    def send(self, notice: Notice) -> None:
        """Mail it."""
        message = EmailMessage()
        message["From"], message["To"] = self._sender, ", ".join(self._receivers)
        message["Subject"] = " ".join(f"quant_organism {notice.headline}".split())
        message.set_content(notice.body)
        try:
            with self._connected() as line:
                if self._server.user:
                    line.login(self._server.user, self._server.password)
                line.send_message(message, self._sender, self._receivers)
        except smtplib.SMTPResponseException as error:
            raise DeliveryError(f"it answered {error.smtp_code}", where=self._server.host) from None
        except (OSError, smtplib.SMTPException, ValueError) as error:
            raise DeliveryError(f"it cannot be used ({type(error).__name__})", where=self._server.host) from None

    def _connected(self) -> smtplib.SMTP:
        server = self._server
        if server.security == "tls":
            return smtplib.SMTP_SSL(server.host, server.port, timeout=_SECONDS, context=ssl.create_default_context())
        line = smtplib.SMTP(server.host, server.port, timeout=_SECONDS)
        if server.security == "starttls":
            try:
                line.starttls(context=ssl.create_default_context())
            except BaseException:
                line.close()
                raise
        return line


def _plain(notice: Notice) -> dict[str, str]:
    return {
        "kind": notice.kind,
        "key": notice.key,
        "severity": notice.severity,
        "title": notice.title,
        "found": notice.text,
        "remedy": notice.remedy,
        "run": notice.run,
    }
