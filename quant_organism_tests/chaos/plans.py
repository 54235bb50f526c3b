"""Which faults strike a session: requests and answers all the time, the market and the accounts now and then."""

from typing import Any, Final

import numpy as np

from quant_organism.simulator import KINDS, Fault
from quant_organism_tests.chaos.market import COINS, DOOMED

LATE_MS: Final = 700
"""Longer than the client waits for an answer."""

_ANYWHERE: Final[tuple[dict[str, Any], ...]] = ({"kind": "refuse_connection", "probability": 0.02},)
_EXCHANGE: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "reset_after", "probability": 0.05},
    {"kind": "reset_before", "probability": 0.04},
    {"kind": "latency", "probability": 0.01, "options": {"ms": LATE_MS}},
    {"kind": "latency", "probability": 0.05, "options": {"ms": 0, "jitter_ms": 30}},
    {"kind": "answer_latency", "probability": 0.01, "options": {"ms": LATE_MS}},
    {"kind": "truncate_answer", "probability": 0.03},
    {"kind": "trickle_answer", "probability": 0.005, "options": {"ms": 100}},
    {"kind": "endless_answer", "probability": 0.005, "options": {"mb": 40}},
    {
        "kind": "http_status",
        "probability": 0.01,
        "options": {"status": 307, "headers": {"Location": "http://127.0.0.1:9"}},
    },
    {"kind": "fewer_statuses", "probability": 0.05},
    {"kind": "drop_idle", "probability": 0.03, "options": {"ms": 1}},
    {"kind": "replace_answer", "probability": 0.02, "options": {"body": "null"}},
    {"kind": "replace_answer", "probability": 0.01, "options": {"body": ""}},
    {"kind": "replace_answer", "probability": 0.02, "options": {"body": "<html>", "status": 502}},
    {"kind": "replace_answer", "probability": 0.01, "options": {"body": '{"status":"ok"}'}},
    {"kind": "http_status", "probability": 0.02, "options": {"status": 429, "headers": {"Retry-After": "1"}}},
    {"kind": "http_status", "probability": 0.02, "options": {"status": 503, "body": "<html>"}},
    {"kind": "http_status", "probability": 0.01, "options": {"status": 422, "body": "Failed to deserialize"}},
    {"kind": "http_status", "probability": 0.01, "options": {"status": 403, "body": '{"msg":"no code"}'}},
    {"kind": "http_status", "probability": 0.01, "options": {"status": 404, "body": '"a string"'}},
    {"kind": "refuse_action", "probability": 0.01, "options": {"text": "A text that nobody knows."}},
    {"kind": "refuse_action", "probability": 0.01, "options": {"text": "Invalid nonce: duplicate nonce 1"}},
    {"kind": "refuse_action", "probability": 0.005, "options": {"text": "Too many cumulative requests sent (2 > 1)"}},
)
_INFO: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "visibility_lag", "probability": 0.2, "options": {"ms": 700}},
    {"kind": "trickle_answer", "probability": 0.003, "options": {"ms": 100}},
    {"kind": "endless_answer", "probability": 0.003, "options": {"mb": 40}},
    {"kind": "stale_answer", "probability": 0.04},
    {"kind": "reset_before", "probability": 0.02},
    {"kind": "reset_after", "probability": 0.01},
    {"kind": "http_status", "probability": 0.02, "options": {"status": 500}},
    {"kind": "http_status", "probability": 0.01, "options": {"status": 429}},
    {"kind": "truncate_answer", "probability": 0.01},
    {"kind": "answer_latency", "probability": 0.003, "options": {"ms": LATE_MS}},
)

STREAM_STAGES: Final = frozenset({"handshake", "socket", "frame"})
"""Faults of the streams, which the line's part meets; all others are met here."""
SESSION_KINDS: Final = frozenset(kind for kind, (stage, _) in KINDS.items() if stage not in STREAM_STAGES)
STREAM_KINDS: Final = frozenset(KINDS) - SESSION_KINDS

_OPTIONS: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    "clock_offset": ({"ms": 3 * 86_400_000}, {"ms": -2 * 86_400_000}, {"ms": 40_000}, {"ms": -500, "ppm": 1}),
    "one_sided_book": ({"side": "bid"}, {"side": "ask"}),
    "thin_book": ({"factor": 0.01},),
    "price_gap": ({"factor": 0.85}, {"factor": 1.2}),
    "mark_gap": ({"factor": 0.9}, {"factor": 1.1}),
    "funding_rate": ({"rate": 0.04}, {"rate": -0.04}),
    "late_funding": ({"ms": 60_000},),
    "change_asset": ({"max_leverage": 3}, {"max_leverage": 10}),
    "bad_mid": ({"text": "oops"}, {"text": "NaN"}, {"text": "-1.0"}),
}
_OF_COINS: Final = frozenset(
    {
        *("empty_book", "one_sided_book", "crossed_book", "thin_book", "price_gap", "mark_gap", "funding_rate"),
        *("missing_candles", "revised_candle", "halt", "open_interest_cap", "null_contexts", "bad_mid"),
    }
)
_OF_USERS: Final = frozenset({"exhaust_address", "unify_account"})
_OF_AGENTS: Final = frozenset({"expire_agents", "revoke_agents"})
_FOR_GOOD: Final = frozenset({"delist", "append_asset", "change_asset", "restart", "revised_candle", "late_funding"})
_OUTAGE_MS: Final = 5_000


def standing_faults() -> list[Fault]:
    """Return the faults that may strike at any request."""
    return [
        Fault.model_validate({**fault, **where, "count": None})
        for faults, where in ((_ANYWHERE, {}), (_EXCHANGE, {"endpoint": "exchange"}), (_INFO, {"endpoint": "info"}))
        for fault in faults
    ]


def passing_faults(
    rng: np.random.Generator, span_ms: int, *, users: list[str], agents_of: list[str], part: int
) -> list[Fault]:
    """Return faults of each kind that lasts, and an outage of each endpoint, at random moments.

    Parameters
    ----------
    rng
        Draws moments, durations and victims.
    span_ms
        They begin within so long.
    users, agents_of
        Accounts, and those that trade through an agent.
    part
        Which part of the session it is; what is for good happens once, in different parts.
    """
    found = []
    for kind, (stage, _) in KINDS.items():
        if stage != "venue" or (kind in ("delist", "append_asset") and part != 1):
            continue
        said: dict[str, Any] = {"kind": kind, "after_ms": int(rng.integers(span_ms))}
        if kind not in _FOR_GOOD:
            said["duration_ms"] = int(rng.integers(2_000, max(4_000, span_ms // 20)))
        if kind in _OPTIONS:
            said["options"] = _OPTIONS[kind][int(rng.integers(len(_OPTIONS[kind])))]
        if kind in _OF_COINS or kind == "change_asset":
            said["coin"] = "SOL" if kind == "change_asset" else str(rng.choice(COINS))
        if kind in _OF_USERS | _OF_AGENTS:
            said["user"] = str(rng.choice(users if kind in _OF_USERS else agents_of))
        if kind == "delist":
            said["coin"] = DOOMED
        if kind == "append_asset":
            said["coin"] = "NEW"
        # a gap in whatever a trader holds, so that some are liquidated
        coins = COINS if kind in ("price_gap", "mark_gap") else [said.get("coin")]
        found += [Fault.model_validate({**said, "coin": coin}) for coin in coins]
    for endpoint in ("info", "exchange"):
        found.append(
            Fault.model_validate(
                {
                    "kind": "http_status",
                    "endpoint": endpoint,
                    "count": None,
                    "after_ms": int(rng.integers(span_ms)),
                    "duration_ms": _OUTAGE_MS,
                    "options": {"status": 503, "body": "<html>"},
                }
            )
        )
    return found
