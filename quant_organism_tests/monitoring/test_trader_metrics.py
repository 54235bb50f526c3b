"""What Prometheus and a supervisor are told of a trader, and that shipped rules and board ask for what is told."""

import json
import re
import shutil
import signal
import subprocess
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import TypeAdapter

from quant_organism.errors import InputError
from quant_organism.monitoring import trader_metrics
from quant_organism.monitoring.status_server import serving_status, status_application
from quant_organism.monitoring.trader_metrics import MOST_SERIES, trader_registry
from quant_organism.trading import LedgerBar, LedgerBreaker, LedgerOrder, LedgerProfit, LinesAtRest, lines_file
from quant_organism.trading.kill import kill_file
from quant_organism.venue import DOUBLINGS, FeedFigures, LatencyFigures
from quant_organism_tests.monitoring.test_trader_dashboard import decision
from quant_organism_tests.monitoring.trading_ledger import CLOSE, HOUR, TradedFolder, traded
from quant_organism_tests.program import first_line, free_port, start, taking_ctrl_c, wait_until_idle

PREFIX: Final = "quant_organism_trader_"
SHIPPED: Final = Path(trader_metrics.__file__).parent / "prometheus"
SOON: Final = CLOSE + 60_000


LINES: Final = LinesAtRest(
    SOON,
    {
        "market": FeedFigures(
            connections=3,
            is_connected=True,
            silent_s=0.25,
            frames={"trades": 40, "bbo": 400, "pong": 2},
            latency=LatencyFigures(tuple(min(place * 50, 430) for place in range(len(DOUBLINGS))), 430, 21.5),
            gaps_closed={"bars": 6, "account": 0},
            dropped=7,
        ),
        "account": FeedFigures(
            connections=0,
            is_connected=False,
            silent_s=None,
            frames={},
            latency=None,
            gaps_closed={"bars": 0, "account": 0},
            dropped=0,
        ),
    },
)


def scraped(data_dir: Path, now_ms: int = SOON) -> dict[str, float]:
    """Return each series by its name and labels."""
    text = generate_latest(trader_registry(data_dir, "paper", lambda: now_ms)).decode()
    return {
        sample.name.removeprefix(PREFIX) + "".join(f" {value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def folder(tmp_path: Path) -> TradedFolder:
    """Return a trader with something of everything that is told."""
    made = traded(tmp_path, rejected=0.04)
    bar = LedgerBar(
        session=1, open_ms=CLOSE - HOUR, symbol="BTC", open=100.0, high=110.0, low=99.0, close=110.0, volume=5.0,
        funding_rate=None, funding_paid=0.0, fear_greed=None, received_ms=CLOSE + 350,
    )  # fmt: skip
    order = LedgerOrder(
        session=1, close_ms=CLOSE, account="paper-1", symbol="BTC", kind="ioc", lots=50, level=1, size=0.05,
        price=100.0, reduces=False, cloid="x",
    )  # fmt: skip
    made.write(
        bar,
        order,
        replace(order, kind="stop", lots=-50),
        replace(order, kind="stop", lots=0),  # taken away
        decision(CLOSE, "enter", 0.3),
        replace(decision(CLOSE, "adjust", 0.4), decision_id="2", is_allowed=False),
        LedgerBreaker(session=1, close_ms=CLOSE, name="daily_loss", state="open", value=0.1, bound=0.05, reason=""),
        LedgerProfit(session=1, close_ms=CLOSE, account="paper-1", strategy="s", profit=7_000_000, gross=0, share=None),
    )
    lines_file(tmp_path).write_bytes(TypeAdapter(LinesAtRest).dump_json(LINES))
    return made


def test_prometheus_is_told_where_the_trader_stands(folder: TradedFolder) -> None:
    told, strategy = scraped(folder.data_dir), "ema_crossover_3_1a2b3c4d"
    assert {name: told[name] for name in ("up", "killed", "data_age_seconds", "feed_delay_seconds")} == {
        "up": 1.0,
        "killed": 0.0,
        "data_age_seconds": 60.0,
        "feed_delay_seconds": 0.35,
    }
    assert (told[f"decisions_total {strategy} passed"], told[f"decisions_total {strategy} refused"]) == (1.0, 1.0)
    assert (told["orders_total ioc"], told["orders_total stop"], told["fills_total"]) == (1.0, 1.0, 1.0)
    assert (told["equity_usd"], told["drawdown_ratio"], told["profit_usd s"]) == (10_000.0, 0.01, 7.0)
    assert (told["position_units BTC"], told["exposure_usd BTC"]) == (0.05, pytest.approx(5.5))
    assert (told["rejected_ratio"], told["clock_skew_seconds"], told["silent_lines"]) == (0.04, 0.02, 0.0)
    assert (told["breaker daily_loss"], told["component_status feed"]) == (2.0, 0.0)


def test_prometheus_is_told_how_the_lines_are(folder: TradedFolder) -> None:
    told = scraped(folder.data_dir, SOON + 2_000)
    lines = {name.removeprefix("feed_"): value for name, value in told.items() if name.startswith("feed_")}
    assert {name: value for name, value in lines.items() if not name.startswith("latency_seconds_bucket")} == {
        "delay_seconds": 0.35,
        "silent_seconds market": 2.25,  # and nothing of the account: it was never heard
        "connected market": 1.0,
        "connected account": 0.0,
        "reconnects_total market": 2.0,
        "reconnects_total account": 0.0,
        "dropped_total market": 7.0,
        "dropped_total account": 0.0,
        "frames_total trades market": 40.0,
        "frames_total bbo market": 400.0,
        "frames_total pong market": 2.0,
        "gaps_closed_total bars market": 6.0,
        "gaps_closed_total account market": 0.0,
        "gaps_closed_total bars account": 0.0,
        "gaps_closed_total account account": 0.0,
        "latency_seconds_count market": 430.0,
        "latency_seconds_sum market": 21.5,
    }
    buckets = {name: value for name, value in lines.items() if name.startswith("latency_seconds_bucket")}
    assert len(buckets) == len(DOUBLINGS) + 1
    assert buckets["latency_seconds_bucket 0.001024 market"] == 0.0
    assert buckets["latency_seconds_bucket 0.004096 market"] == 100.0
    assert buckets["latency_seconds_bucket +Inf market"] == 430.0


def test_of_a_trader_that_died_only_its_silence_is_told(folder: TradedFolder) -> None:
    told = scraped(folder.data_dir, SOON + 600_000)
    assert {name: value for name, value in told.items() if name.startswith("feed_") and "delay" not in name} == {
        "feed_silent_seconds market": 600.25
    }
    path = lines_file(folder.data_dir)
    of_another_version = path.read_bytes().replace(b'"within":[0,', b'"within":[')
    for damaged in (b'{"written_ms": 1', of_another_version):
        path.write_bytes(damaged)
        assert not any("feed_silent" in name for name in scraped(folder.data_dir, SOON))


def test_a_stale_trader_and_a_kill_are_told(folder: TradedFolder) -> None:
    kill_file(folder.data_dir).write_text("{")
    told = scraped(folder.data_dir, CLOSE + 2 * HOUR)
    assert told["killed"] == 1.0
    assert [told[f"component_status {name}"] for name in ("feed", "venue", "ledger", "risk")] == [2.0, 3.0, 0.0, 2.0]


def test_however_many_strategies_there_were_the_series_are_few(folder: TradedFolder) -> None:
    profits = [
        LedgerProfit(
            session=1, close_ms=CLOSE, account="paper-1", strategy=f"s{n}", profit=n * 1_000_000, gross=0, share=None
        )
        for n in range(MOST_SERIES + 5)
    ]
    folder.write(*profits)
    told = {name: value for name, value in scraped(folder.data_dir).items() if name.startswith("profit_usd")}
    assert len(told) == MOST_SERIES + 1
    assert told["profit_usd other"] == 0 + 1 + 2 + 3 + 4 + 5
    assert sum(told.values()) == 7 + sum(range(MOST_SERIES + 5))


def test_without_a_ledger_nothing_is_claimed(tmp_path: Path) -> None:
    told = scraped(tmp_path)
    assert told.keys() == {"up", "killed", "component_status disk"}
    assert told["up"] == 0.0


def asked(port: int, path: str, method: str = "GET", host: str | None = None) -> tuple[int, bytes]:
    """Ask a server of this machine, under its own name or another."""
    line = HTTPConnection("127.0.0.1", port, timeout=10)
    line.request(method, path, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = line.getresponse()
    found = (answer.status, answer.read())
    line.close()
    return found


def test_a_real_server_answers_this_machine_alone_and_only_to_look(folder: TradedFolder) -> None:
    with serving_status(folder.data_dir, "paper", 0) as port:
        status, body = asked(port, "/metrics")
        assert (status, b"quant_organism_trader_equity_usd 10000.0" in body) == (200, True)
        assert asked(port, "/healthz")[0] == 503  # its last close is of 2026-01-02
        assert asked(port, "/elsewhere")[0] == 404
        assert asked(port, "/metrics", "POST")[0] == 405
        assert asked(port, "/metrics", host="somewhere.example:80")[0] == 403
        with pytest.raises(InputError, match=f"port {port}"), serving_status(folder.data_dir, "paper", port):
            pass


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    with taking_ctrl_c(), start("trade", "metrics", "--port", str(free_port()), folder=tmp_path) as process:
        try:
            assert first_line(process).startswith("Metrics of")
            wait_until_idle(process)
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
        finally:
            process.kill()


def answered(data_dir: Path, path: str, now_ms: int) -> tuple[str, Any]:
    """Return the line of status and the document of an answer at some time."""
    lines: list[str] = []
    application = status_application(data_dir, "paper", lambda: now_ms)
    request = {"PATH_INFO": path, "REQUEST_METHOD": "GET", "HTTP_HOST": "localhost:9464"}
    body = b"".join(application(request, lambda status, headers: lines.append(status)))
    return lines[0], json.loads(body)


def test_a_trader_lives_while_closes_come_and_is_ready_while_nothing_failed(folder: TradedFolder) -> None:
    def both(now_ms: int) -> list[bool]:
        return [answered(folder.data_dir, path, now_ms)[0] == "200 OK" for path in ("/healthz", "/readyz")]

    assert both(SOON) == [True, True]
    assert both(CLOSE + HOUR + 301_000) == [True, False]  # a close is late: what the venue says is not known
    assert both(CLOSE + 2 * HOUR) == [False, False]
    kill_file(folder.data_dir).write_text("{")
    assert both(SOON) == [True, False]
    assert answered(folder.data_dir, "/readyz", SOON)[1]["risk"]["status"] == "failed"
    kill_file(folder.data_dir).unlink()
    folder.end()
    assert both(SOON) == [False, False]


def queried(expressions: list[str]) -> set[str]:
    """Return the names of the trader's metrics in expressions."""
    return {name for text in expressions for name in re.findall(rf"{PREFIX}\w+", text)}


def test_board_and_rules_ask_for_nothing_that_is_not_told_and_the_board_for_what_moves(folder: TradedFolder) -> None:
    text = generate_latest(trader_registry(folder.data_dir, "paper", lambda: SOON)).decode()
    told = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
    board = json.loads((SHIPPED / "board.json").read_text())
    shown = queried([target["expr"] for panel in board["panels"] for target in panel["targets"]])
    rules = yaml.safe_load((SHIPPED / "rules.yaml").read_text())
    alerts = queried([rule["expr"] for group in rules["groups"] for rule in group["rules"]])
    assert shown | alerts <= told
    described = {"session_info", "session_ended", "last_close_timestamp_seconds", "gross_usd", "position_units"}
    assert {name.removeprefix(PREFIX) for name in told - shown} == described
    places = [panel["gridPos"] for panel in board["panels"]]
    cells = [
        (x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in board["panels"]}) == len(places)


RULE_TESTS: Final = """\
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {{series: quant_organism_trader_up, values: '1x10'}}
      - {{series: 'quant_organism_trader_component_status{{component="feed"}}', values: '0x4 2x10'}}
      - {{series: quant_organism_trader_drawdown_ratio, values: '0.05x4 0.11x10'}}
      - {{series: 'quant_organism_trader_feed_silent_seconds{{line="market"}}', values: '30x4 30+60x10'}}
      - {{series: 'quant_organism_trader_feed_reconnects_total{{line="account"}}', values: '0x15 0+1x15'}}
      - {{series: '{latency}{{line="market",le="2.097152"}}', values: '0+50x30'}}
      - {{series: '{latency}{{line="market",le="4.194304"}}', values: '0+60x30'}}
      - {{series: '{latency}{{line="market",le="+Inf"}}', values: '0+60x30'}}
    alert_rule_test:
      - {{eval_time: 5m, alertname: FeedSilent}}
      - {{eval_time: 14m, alertname: FeedReconnects}}
      - {{eval_time: 9m, alertname: FeedSlow}}
      - eval_time: 8m
        alertname: FeedSilent
        exp_alerts:
          - exp_labels: {{severity: critical, line: market}}
            exp_annotations:
              summary: Nothing has come over the line market for 3m 30s.
              remedy: quant-organism trade status
      - eval_time: 28m
        alertname: FeedReconnects
        exp_alerts:
          - exp_labels: {{severity: warning, line: account}}
            exp_annotations:
              summary: The line account was lost 12 times in a quarter of an hour.
              remedy: look at the network; the trader connects again and asks for what it missed
      - eval_time: 20m
        alertname: FeedSlow
        exp_alerts:
          - exp_labels: {{severity: warning, line: market}}
            exp_annotations:
              summary: Of a hundred events on the line market one is 4.068s old or older when it comes.
              remedy: look at the network, the load of this machine, and its clock
      - {{eval_time: 4m, alertname: TraderComponentFailed}}
      - {{eval_time: 4m, alertname: TraderDrawdown}}
      - eval_time: 8m
        alertname: TraderComponentFailed
        exp_alerts:
          - exp_labels: {{severity: critical, component: feed}}
            exp_annotations: {{summary: 'feed failed, or is not known.', remedy: quant-organism health}}
      - eval_time: 8m
        alertname: TraderDrawdown
        exp_alerts:
          - exp_labels: {{severity: warning}}
            exp_annotations: {{summary: The account is 11% below its peak., remedy: quant-organism trade watch}}
"""


def test_prometheus_itself_takes_the_rules_and_they_fire(tmp_path: Path) -> None:
    if (promtool := shutil.which("promtool")) is None:
        pytest.skip("promtool is not installed (Debian: apt install prometheus)")
    subprocess.run([promtool, "check", "rules", SHIPPED / "rules.yaml"], check=True, capture_output=True)
    written = tmp_path / "tests.yaml"
    latency = "quant_organism_trader_feed_latency_seconds_bucket"
    written.write_text(RULE_TESTS.format(rules=SHIPPED / "rules.yaml", latency=latency))
    tested = subprocess.run([promtool, "test", "rules", written], capture_output=True, text=True)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_what_is_told_is_text_that_prometheus_takes(folder: TradedFolder) -> None:
    if (promtool := shutil.which("promtool")) is None:
        pytest.skip("promtool is not installed (Debian: apt install prometheus)")
    text = generate_latest(trader_registry(folder.data_dir, "paper", lambda: SOON))
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True)
    assert checked.returncode == 0, checked.stderr
