"""The venue's answers have the keys and types of the recorded ones, endpoint by endpoint."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from websockets.sync.client import connect

from quant_organism.simulator.server.serving import RunningVenue
from quant_organism_tests.simulator.conftest import ALICE, TIMEOUT, act, place

USER = ALICE.address
NUMBER = re.compile(r"-?\d+(\.\d+)?")


def ask(served: RunningVenue, body: dict[str, Any]) -> Any:
    return requests.post(f"{served.url}/info", json=body, timeout=TIMEOUT).json()


def shape(value: Any) -> Any:
    """Return what a value is made of: keys and types, numbers in strings told from words, one item for a list."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        shapes = [shape(item) for item in value]
        return shapes if any(isinstance(s, str) for s in shapes) and len(shapes) <= 3 else shapes[:1]
    if isinstance(value, str):
        return "number in a string" if NUMBER.fullmatch(value) else "string"
    return type(value).__name__


def differences(recorded: Any, ours: Any, path: str = "") -> list[str]:
    """Return where ours lacks a key of the recorded answer, or has another type; null goes with anything."""
    if "NoneType" in (recorded, ours):
        return []
    if isinstance(recorded, dict) and isinstance(ours, dict):
        found = [f"{path}.{key} is missing" for key in recorded if key not in ours]
        return found + [
            d for key in recorded if key in ours for d in differences(recorded[key], ours[key], f"{path}.{key}")
        ]
    if isinstance(recorded, list) and isinstance(ours, list):
        if recorded and not ours:
            return [f"{path} is empty"]
        pairs = zip(recorded, ours, strict=False)
        return [d for i, (a, b) in enumerate(pairs) for d in differences(a, b, f"{path}[{i}]")]
    return [] if recorded == ours else [f"{path} is {ours}, recorded {recorded}"]


OLD = {  # shapes that the venue has given up since these were recorded
    "test_get_user_state": {"maxTradeSzs"},
    "test_user_twap_slice_fills": set(),
}


def _recorded(folder: Path) -> Iterator[tuple[str, dict[str, Any], Any]]:
    for path in sorted((folder / "hl_python_sdk" / "json").glob("*.json")):
        for exchange in json.loads(path.read_text()):
            yield path.stem, exchange["request"], exchange["response"]
    for path in sorted((folder / "hypaper_testnet_captures").glob("*.json")):
        body = json.loads(path.read_text())
        if "action" not in body["request"]:
            yield path.stem, body["request"], body["response"]


def _of_ours(request: dict[str, Any]) -> dict[str, Any]:
    """Return a recorded question with our user, coin and times."""
    asked = json.loads(json.dumps(request))
    for key in ("user", "coin", "startTime", "endTime"):
        if key in asked:
            asked[key] = {"user": USER, "coin": "ETH", "startTime": 1, "endTime": 4_000_000_000_000}[key]
    if "req" in asked:
        asked["req"] |= {"coin": "ETH", "startTime": 1, "endTime": 4_000_000_000_000}
    return asked


def test_every_recorded_question_gets_an_answer_of_its_shape(busy: RunningVenue, shared_venue: Path) -> None:
    seen: set[str] = set()
    wrong: list[str] = []
    for name, request, response in _recorded(shared_venue):
        kind = request["type"]
        ours = ask(busy, _of_ours(request))
        seen.add(kind)
        if kind == "allMids":  # by coin
            response, ours = list(response.values()), list(ours.values())
        if kind in ("delegatorHistory", "userVaultEquities", "userTwapSliceFills"):
            assert ours == []  # of what this venue does not have there is nothing
            continue
        if kind == "userNonFundingLedgerUpdates":  # of many types only deposits come to pass here
            response = [row for row in response if row["delta"]["type"] == "deposit"]
        gone = OLD.get(name, set())
        wrong += [
            f"{name}: {d}"
            for d in differences(shape(response), shape(ours))
            if d.rsplit(".")[-1].split()[0] not in gone
        ]
    assert wrong == []
    assert len(seen) >= 18


def test_recorded_samples_of_other_clients(busy: RunningVenue, shared_venue: Path) -> None:
    for file, request in (
        ("Endpoints_Futures_Account_GetAccountInfo", {"type": "clearinghouseState", "user": USER}),
        ("Endpoints_Futures_Account_GetFundingHistory", {"type": "userFunding", "user": USER, "startTime": 0}),
        ("Endpoints_Futures_ExchangeData_GetExchangeInfoAndTickers", {"type": "metaAndAssetCtxs"}),
        (
            "Endpoints_Futures_ExchangeData_GetFundingRateHistory",
            {"type": "fundingHistory", "coin": "ETH", "startTime": 0},
        ),
        ("Endpoints_Spot_Account_GetRateLimits", {"type": "userRateLimit", "user": USER}),
        ("Endpoints_Spot_ExchangeData_GetOrderBook", {"type": "l2Book", "coin": "ETH"}),
        ("Endpoints_Spot_Trading_GetOpenOrdersExtended", {"type": "frontendOpenOrders", "user": USER}),
        ("Endpoints_Spot_ExchangeData_GetExchangeInfo", {"type": "spotMeta"}),
    ):
        text = (shared_venue / "jkorf_net" / f"{file}.txt").read_text()
        recorded = json.loads(text.split("\n", 3)[3])
        if request["type"] == "spotMeta":  # this venue lists no spot pairs
            recorded["universe"] = []
        assert differences(shape(recorded), shape(ask(busy, request))) == [], file


def test_recorded_messages_of_sockets(busy: RunningVenue, shared_venue: Path) -> None:
    """Acknowledgement and first push of each recorded subscription have the recorded shape."""
    checked = 0
    for path in sorted((shared_venue / "jkorf_net").glob("Subscriptions_*.txt")):
        text = path.read_text()
        if "Concurrent" in path.stem:  # several at once, shortened
            continue
        sent, acknowledged = (json.loads(line[2:]) for line in text.splitlines()[:2])
        pushed = json.loads(text.split("\n=", 1)[1])
        sub = sent["subscription"]
        sub |= {"coin": "ETH"} if "coin" in sub else {}
        sub |= {"user": USER} if "user" in sub else {}
        with connect(busy.url.replace("http", "ws") + "/ws") as socket:
            socket.recv(timeout=TIMEOUT)
            socket.send(json.dumps(sent))
            answers = [json.loads(socket.recv(timeout=TIMEOUT))]
            if sub["type"] in ("orderUpdates", "userEvents"):
                buy = {"a": 2, "b": True, "p": "2500", "s": "0.01", "r": False, "t": {"limit": {"tif": "Ioc"}}}
                place(busy, buy)
            answers.append(json.loads(socket.recv(timeout=TIMEOUT)))
            while answers[-1]["channel"] != pushed["channel"]:
                answers.append(json.loads(socket.recv(timeout=TIMEOUT)))
        if sub["type"] == "allMids":
            pushed["data"]["mids"] = answers[-1]["data"]["mids"]
        assert differences(shape(acknowledged), shape(answers[0])) == []
        assert differences(shape(pushed), shape(answers[-1])) == [], path.stem
        checked += 1
    assert checked == 7


def test_recorded_actions_are_answered_as_they_were(busy: RunningVenue, shared_venue: Path) -> None:
    """Orders, modifications and cancels of the recorded story, with our signature and ids."""
    folder = shared_venue / "hypaper_testnet_captures"
    story = {name: json.loads((folder / f"{name}.json").read_text()) for name in ("01_place_order", "02_modify")}
    story |= {name: json.loads((folder / f"{name}.json").read_text()) for name in ("03_batchModify", "03b_cancel")}
    story |= {name: json.loads((folder / f"{name}.json").read_text()) for name in ("08_modify_error",)}
    first = story["01_place_order"]["request"]["action"]
    for order in first["orders"]:
        order |= {"a": 0}
    placed = act(busy, first)
    oids = [status["resting"]["oid"] for status in placed["response"]["data"]["statuses"]]
    assert shape(placed) == shape(story["01_place_order"]["response"])
    ours = dict(zip((53244215259, 53244215260), oids, strict=True))
    for name in ("02_modify", "03_batchModify", "03b_cancel", "08_modify_error"):
        action = json.loads(json.dumps(story[name]["request"]["action"]))
        for item in [action, *action.get("modifies", []), *action.get("cancels", [])]:
            item |= {"oid": ours.get(item["oid"], item["oid"])} if "oid" in item else {}
            item |= {"a": 0, "o": ours[item["o"]]} if "o" in item else {}
            if "order" in item:
                item["order"]["a"] = 0
        recorded = json.loads(json.dumps(story[name]["response"]).replace("asset=3", "asset=0"))
        found = act(busy, action)
        assert shape(found) == shape(recorded), name
        if name in ("03b_cancel", "08_modify_error"):
            assert found == recorded
    twaps = [json.loads((folder / f"{name}.json").read_text()) for name in ("04_twapOrder", "05_twapCancel")]
    begun = act(busy, {"type": "twapOrder", "twap": {**twaps[0]["request"]["action"]["twap"], "a": 0}})
    assert shape(begun) == shape(twaps[0]["response"])
    number = begun["response"]["data"]["status"]["running"]["twapId"]
    assert act(busy, {**twaps[1]["request"]["action"], "a": 0, "t": number}) == twaps[1]["response"]
    for name in ("10_scheduleCancel_set", "10b_scheduleCancel_clear", "11_updateIsolatedMargin"):
        body = json.loads((folder / f"{name}.json").read_text())
        found, recorded = act(busy, body["request"]["action"]), body["response"]
        trim = re.compile(r"Traded: \$[0-9.]+")
        assert {k: trim.sub("", str(v)) for k, v in found.items()} == {
            k: trim.sub("", str(v)) for k, v in recorded.items()
        }
    many = {"type": "cancel", "cancels": [{"a": 0, "o": i} for i in range(201)]}
    probes = json.loads((shared_venue / "tickwright" / "probe_bodies_2026_10.json").read_text())
    assert act(busy, many) == probes["batch_cancel_201"]
