"""Alerts: each trigger raises one, the book tells when it begins, lasts and ends, and real servers take it."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.errors import InputError, IntegrityError, StorageError
from quant_organism.monitoring.alerts.book import AlertBook, AlertTimes, alerts_folder, alerts_health
from quant_organism.monitoring.alerts.channels import (
    HIDDEN,
    DeliveryError,
    LogChannel,
    MailChannel,
    MailServer,
    Notice,
    WebhookChannel,
)
from quant_organism.monitoring.alerts.rules import Alert, alerts_of
from quant_organism.monitoring.components import ComponentHealth, Status, open_breakers
from quant_organism.monitoring.system_health import TRADER, WEIGHTS, SystemHealth
from quant_organism_tests.monitoring.trading_ledger import traded
from quant_organism_tests.program import Caller
from quant_organism_tests.tiny import write_world

NOW = 1_767_225_600_000
MINUTE, HOUR = 60_000, 3_600_000
NOTICE = Notice(NOW, "raised", "disk", "warning", "Disk failed", "0.4 GB free", "free some space")
DISK = Alert("disk", "warning", "Disk failed", "0.4 GB free", "free some space")
ASKED = {
    "id": "ab12",
    "type": "risk_adjustment",
    "subject": "account",
    "value": "normal",
    "valid_until": date(2026, 1, 8),
    "otherwise": "defensive",
}
TIMES = AlertTimes(repeat_s=6 * 3_600, escalate_s=3_600, heartbeat_s=24 * 3_600)


# --- what is alarming ---------------------------------------------------------------------------------------------


def measured(drawdown: float = 0.0, **changed: Status) -> SystemHealth:
    found = [ComponentHealth(name, changed.get(name, "ok"), f"{name} was looked at", remedy="look") for name in WEIGHTS]
    risk = [replace(one, value=drawdown, unit="fraction") if one.component == "risk" else one for one in found]
    return SystemHealth(NOW, tuple(risk))


def raised(health: SystemHealth, **also: Any) -> dict[str, str]:
    return {alert.key: alert.severity for alert in alerts_of(health, max_drawdown=0.1, **also)}


@pytest.mark.parametrize(
    ("health", "also", "expected"),
    [
        (measured(), {}, {}),
        (measured(0.1), {}, {}),
        (measured(0.11), {}, {"drawdown": "warning"}),
        (measured(feed="failed"), {}, {"health": "critical", "feed": "critical"}),
        (measured(ledger="unknown"), {}, {"health": "critical", "ledger": "critical"}),
        (measured(), {"breakers": ["daily_loss"]}, {"breaker daily_loss": "warning"}),
        (measured(), {"is_killed": True}, {"kill": "critical"}),
        (measured(), {"waiting": [ASKED]}, {"decision ab12": "warning"}),
        (measured(schedule="failed"), {}, {"schedule": "warning"}),
        (measured(quality="failed"), {}, {"quality": "warning"}),
        (measured(strategies="degraded"), {}, {"decay": "warning"}),
        (measured(workflows="failed"), {}, {"workflows": "warning"}),
        (measured(alerts="failed", clock="degraded", disk="unused"), {}, {}),
    ],
)
def test_each_trigger_raises_its_own_alert(
    health: SystemHealth, also: dict[str, Any], expected: dict[str, str]
) -> None:
    assert raised(health, **also) == expected


def test_an_alert_says_what_waits_and_how_to_answer() -> None:
    (alert,) = alerts_of(measured(), max_drawdown=0.1, waiting=[ASKED])
    assert alert.text == "risk adjustment of account: normal? Until 2026-01-08, else defensive."
    assert alert.remedy == "quant-organism decisions approve ab12 --reason ..., or reject"


def test_every_component_that_fails_is_heard_of() -> None:
    for name in WEIGHTS.keys() - {"alerts"}:
        assert raised(measured(**{name: "failed"}))[name] == ("critical" if name in TRADER else "warning")


def test_an_alert_names_the_run_that_it_is_about(tmp_path: Path) -> None:
    """From the component to whoever is told, and to the end of it."""
    run = "workflow_20260102_030405_0000abcd"
    ill = [
        replace(one, run=run) if one.component == "workflows" else one
        for one in measured(workflows="failed").components
    ]
    alerts = alerts_of(SystemHealth(NOW, tuple(ill)), max_drawdown=0.1)
    listener = Listener()
    opened(tmp_path, listener).look(alerts, NOW, "degraded")
    opened(tmp_path, listener).look([], NOW + MINUTE, "excellent")
    told = [notice for notice in listener.heard if notice.key == "workflows"]
    assert [(notice.kind, notice.run) for notice in told] == [("raised", run), ("resolved", run)]
    assert told[0].body.splitlines()[-1] == f"Run: {run}"
    channel = LogChannel(tmp_path / "log.jsonl")
    channel.send(told[0])
    assert json.loads(channel.path.read_text())["run"] == run


def test_only_open_breakers_of_a_session_that_runs_alarm(tmp_path: Path) -> None:
    assert open_breakers(tmp_path) == []
    folder = traded(tmp_path)
    assert open_breakers(tmp_path) == []
    folder.trip("daily_loss")
    assert open_breakers(tmp_path) == ["daily_loss"]
    folder.end()
    assert open_breakers(tmp_path) == []


# --- the book -----------------------------------------------------------------------------------------------------


@dataclass
class Listener:
    """A channel that can be deaf for a while."""

    name: str = "listener"
    heard: list[Notice] = field(default_factory=list)
    is_deaf: bool = False

    def send(self, notice: Notice) -> None:
        if self.is_deaf:
            raise DeliveryError("it is deaf", where="here")
        self.heard.append(notice)

    @property
    def kinds(self) -> list[str]:
        """Kinds of what was heard, the heartbeat apart."""
        return [notice.kind for notice in self.heard if notice.kind != "alive"]


def opened(folder: Path, listener: Listener, **changes: Any) -> AlertBook:
    return AlertBook(folder, [listener], replace(TIMES, **changes))


def test_an_alert_is_told_once_then_as_worse_then_again_and_when_it_is_over(tmp_path: Path) -> None:
    listener = Listener()
    for minute in range(0, 14 * 60, 20):  # each look by a process of its own
        opened(tmp_path, listener).look([DISK], NOW + minute * MINUTE, "degraded")
    told = [(notice.kind, notice.severity, (notice.at_ms - NOW) // MINUTE) for notice in listener.heard]
    assert told == [
        ("raised", "warning", 0),
        ("alive", "info", 0),
        ("escalated", "critical", 60),
        ("again", "critical", 60 + 360),
        ("again", "critical", 60 + 720),
    ]
    opened(tmp_path, listener).look([], NOW + 14 * HOUR, "excellent")
    opened(tmp_path, listener).look([DISK], NOW + 15 * HOUR, "degraded")
    assert [(one.kind, one.severity) for one in listener.heard[-2:]] == [("resolved", "info"), ("raised", "warning")]


def test_what_gets_worse_is_told_at_once(tmp_path: Path) -> None:
    listener = Listener()
    book = opened(tmp_path, listener)
    book.look([DISK], NOW, "degraded")
    book.look([replace(DISK, severity="critical")], NOW + MINUTE, "poor")
    book.look([DISK], NOW + 2 * MINUTE, "degraded")  # and does not calm down by itself
    assert listener.kinds == ["raised", "escalated"]
    assert book.open["disk"].severity == "critical"


def test_the_heartbeat_says_how_it_goes(tmp_path: Path) -> None:
    listener = Listener()
    for hour in range(0, 49, 3):
        opened(tmp_path, listener).look([DISK] if hour < 30 else [], NOW + hour * HOUR, "good")
    beats = [notice for notice in listener.heard if notice.kind == "alive"]
    assert [(beat.at_ms - NOW) // HOUR for beat in beats] == [0, 24, 48]
    assert beats[1].text == "Health is good; alerts that last: disk."
    assert beats[2].text.endswith("alerts that last: none.")


@settings(max_examples=12)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=7))
def test_every_notice_arrives_once_and_in_order_however_long_a_channel_was_deaf(
    tmp_path_factory: pytest.TempPathFactory, looks: list[tuple[bool, bool]]
) -> None:
    folder, good, deaf = tmp_path_factory.mktemp("book"), Listener("good"), Listener("deaf")
    for number, (lasts, is_deaf) in enumerate([*looks, (False, False)]):
        deaf.is_deaf = is_deaf
        book = AlertBook(folder, [good, deaf], TIMES)
        book.look([DISK] if lasts else [], NOW + number * MINUTE, "good")
        assert alerts_health(folder.parent / "none", NOW).status == "unused"
    assert deaf.kinds == good.kinds
    assert [one.kind for one in deaf.heard].count("alive") == 1


def test_a_deaf_channel_and_a_silent_watch_are_ill_health(tmp_path: Path) -> None:
    folder, listener = alerts_folder(tmp_path), Listener(is_deaf=True)
    opened(folder, listener).look([DISK], NOW, "degraded")
    found = alerts_health(tmp_path, NOW + MINUTE)
    assert (found.status, found.value, found.age_s, found.found) == ("failed", 2, 60.0, "listener: here: it is deaf")
    listener.is_deaf = False
    opened(folder, listener).look([DISK], NOW + MINUTE, "degraded")
    assert alerts_health(tmp_path, NOW + 6 * MINUTE).status == "ok"
    assert alerts_health(tmp_path, NOW + 6 * MINUTE + 1).status == "failed"
    AlertBook(folder, [LogChannel(tmp_path / "log")], TIMES).look([], NOW, "good")
    assert alerts_health(tmp_path, NOW).status == "degraded"  # nobody hears of it
    (folder / "state.json").write_text("[")
    assert alerts_health(tmp_path, NOW).status == "unknown"
    with pytest.raises(IntegrityError, match="cannot be read"):
        opened(folder, listener)


def test_on_a_disk_that_takes_nothing_others_still_hear(tmp_path: Path) -> None:
    folder, listener = tmp_path / "alerts", Listener()
    book = AlertBook(folder, [LogChannel(folder / "log"), listener], TIMES)
    folder.write_text("no folder")
    for minute in range(3):
        with pytest.raises(StorageError):
            book.look([DISK], NOW + minute * MINUTE, "degraded")
    assert listener.kinds == ["raised"]


def test_no_secret_is_told(tmp_path: Path) -> None:
    listener = Listener()
    book = AlertBook(tmp_path, [listener], TIMES, secrets=["hunter2", ""])
    book.look([Alert("feed", "critical", "Feed hunter2", "http://me:hunter2@proxy failed", "say hunter2")], NOW, "poor")
    assert HIDDEN in listener.heard[0].text
    assert "hunter2" not in repr(listener.heard) + (tmp_path / "state.json").read_text()


# --- channels -----------------------------------------------------------------------------------------------------


def test_the_log_has_a_line_of_json_for_each_and_is_rotated(tmp_path: Path) -> None:
    channel = LogChannel(tmp_path / "alerts" / "log.jsonl")
    for _ in range(2):
        channel.send(NOTICE)
    lines = [json.loads(line) for line in channel.path.read_text().splitlines()]
    assert [(line["key"], line["severity"], line["at"]) for line in lines] == [
        ("disk", "warning", "2026-01-01T00:00:00+00:00")
    ] * 2
    channel.send(replace(NOTICE, text="x" * 5_000_000))
    channel.send(NOTICE)
    assert len(list(channel.path.parent.iterdir())) > 1
    assert len(channel.path.read_text().splitlines()) == 1


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def webhook(status: int = 200, **headers: str) -> Iterator[tuple[str, list[Any]]]:
    """Serve a webhook on this machine; yield its address and what it was posted."""
    posted: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}/hook/sesame", posted


def test_a_real_webhook_is_posted_to() -> None:
    with webhook() as (url, posted):
        WebhookChannel(url).send(NOTICE)
    (document,) = posted
    assert document["text"].splitlines() == [
        "[warning] Disk failed",
        "2026-01-01 00:00:00 UTC",
        "0.4 GB free",
        "What to do: free some space",
    ]
    assert (document["key"], document["severity"]) == ("disk", "warning")


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_webhook_that_refuses_or_leads_elsewhere_is_told_without_its_address(status: int) -> None:
    with webhook() as (elsewhere, never), webhook(status, Location=elsewhere) as (url, _):
        with pytest.raises(DeliveryError, match=f"answered {status}") as refused:
            WebhookChannel(url).send(NOTICE)
        assert "sesame" not in str(refused.value)
    with pytest.raises(DeliveryError) as gone:
        WebhookChannel(url).send(NOTICE)
    assert "sesame" not in str(gone.value)
    assert never == []


@pytest.mark.parametrize("url", ["http://example.org/sesame", "file:///etc/sesame", "sesame", "https://"])
def test_a_webhook_in_the_clear_is_refused_without_naming_it(url: str) -> None:
    with pytest.raises(InputError) as refused:
        WebhookChannel(url)
    assert "sesame" not in str(refused.value)


@dataclass
class Mailbox:
    """A mail server of this machine, and what it was handed."""

    port: int = 0
    commands: list[str] = field(default_factory=list)
    mail: list[str] = field(default_factory=list)


@contextmanager
def mail_server(answer: str = "250 taken") -> Iterator[Mailbox]:
    box = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.say("220 mailbox")
            while line := self.rfile.readline().decode().strip():
                box.commands.append(line)
                word = line.split()[0].upper()
                if word == "DATA":
                    self.say("354 go on")
                    lines = iter(self.rfile.readline, b".\r\n")
                    box.mail.append(b"".join(lines).decode())
                    self.say(answer)
                elif word == "EHLO":
                    self.say("250-mailbox")
                    self.say("250 AUTH PLAIN")
                elif word == "AUTH":
                    self.say("235 welcome")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 fine" if word != "STARTTLS" else "502 not here")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    box.port = int(server.server_address[1])
    with serving(server):
        yield box


def test_a_real_mail_server_is_handed_the_notice() -> None:
    with mail_server() as box:
        server = MailServer("127.0.0.1", box.port, "none", "me", "hunter2")
        MailChannel(server, "me@example.org", ["you@example.org", "they@example.org"]).send(
            replace(NOTICE, title="Disk failed\nBcc: all@example.org")
        )
    (mail,) = box.mail
    assert "Subject: quant_organism [warning] Disk failed Bcc: all@example.org\r\n" in mail
    assert "0.4 GB free" in mail
    assert [line for line in box.commands if line.upper().startswith("RCPT")] == [
        "rcpt TO:<you@example.org>",
        "rcpt TO:<they@example.org>",
    ]
    assert "hunter2" not in mail


def test_mail_that_is_refused_or_not_secured_as_asked_is_told() -> None:
    with mail_server("554 no") as box:
        with pytest.raises(DeliveryError, match="answered 554"):
            MailChannel(MailServer("127.0.0.1", box.port, "none"), "a@b", ["c@d"]).send(NOTICE)
        with pytest.raises(DeliveryError, match="SMTPNotSupportedError"):
            MailChannel(MailServer("127.0.0.1", box.port, "starttls", "me", "hunter2"), "a@b", ["c@d"]).send(NOTICE)
    assert not any("AUTH" in line for line in box.commands)
    with pytest.raises(DeliveryError, match="ConnectionRefusedError"):
        MailChannel(MailServer("127.0.0.1", box.port, "tls"), "a@b", ["c@d"]).send(NOTICE)


def test_mail_in_the_clear_and_mail_to_nobody_are_refused() -> None:
    with pytest.raises(InputError, match="in the clear"):
        MailChannel(MailServer("mail.example.org", 25, "none"), "a@b", ["c@d"])
    with pytest.raises(InputError, match="sender and receivers"):
        MailChannel(MailServer("127.0.0.1", 25, "none"), "a@b", [])


# --- the command --------------------------------------------------------------------------------------------------


def test_the_channels_are_tried_and_what_is_alarming_arrives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    call, world = Caller(tmp_path, monkeypatch, capfd), write_world(tmp_path)
    with webhook() as (url, posted):
        monkeypatch.setenv("QUANT_ORGANISM_ALERTS__WEBHOOK_URL", url)
        tried = call("alerts", "test", "--json")
        assert (tried.code, json.loads(tried.out)) == (0, {"channels": {"log": "taken", "webhook": "taken"}})
        assert [document["kind"] for document in posted] == ["test"]
        traded(tmp_path / "data")  # and never came to another close
        seen = call("alerts", "watch", "--once", "--world", world)
        assert (seen.code, "[critical] Feed failed" in seen.out) == (0, True)
        assert {"feed", "venue", "clock", "health"} <= {document["key"] for document in posted}
    assert json.loads(call("alerts", "list", "--json").out)["alerts"]
    tried = call("alerts", "test")
    assert (tried.code, "sesame" in tried.out + tried.err) == (1, False)
    for path in (tmp_path / "data").rglob("*"):
        assert path.is_dir() or b"sesame" not in path.read_bytes()
