"""What decisions do to a trader: a stricter risk mode, sessions that may not enter, and an emergency stop.

Risk mode and sessions are put in force as versions of the policy, which a session reads at each close. An emergency
stop raises the flag of the kill switch: at its next close the trader's governor brings everything to nothing, and only
a person takes the flag away. Nothing here loosens what a person has said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from quant_organism.deployment import DecisionType, acted_upon, acting_decision, book_action
from quant_organism.errors import StorageError
from quant_organism.market import Interval, Lake
from quant_organism.trading.kill import KillFlag, flag_raised, kill_file, raise_flag
from quant_organism.trading.policy import RISK_FACTORS, Policy, PolicyVersion
from quant_organism.trading.policy_store import FilePolicyStore, policy_folder

ENGINE: Final = "decision engine"
"""Author of what no person has put in force."""

_SCALPING: Final = "scalping"


@dataclass(frozen=True)
class CarriedOut:
    """What was done about a decision.

    Parameters
    ----------
    id, type
        The decision.
    what
        Done, in words.
    """

    id: str
    type: str
    what: str


def carry_out(data_dir: Path, *, market: str, interval: Interval, now: datetime) -> list[CarriedOut]:
    """Carry out the decisions that act now and about which nothing was done yet, each once; return what was done.

    Parameters
    ----------
    data_dir
        Folder of lake, policies and kill switch.
    market, interval
        Whose decisions.
    now
        Wall clock, with its zone.

    Raises
    ------
    InputError, BusyError, StorageError
        A policy cannot be put in force, or the flag not be raised; what was done before stands.
    """
    lake, day, found = Lake(data_dir / "lake"), now.astimezone(UTC).date(), list[CarriedOut]()
    ways: Mapping[DecisionType, Callable[[Path, Mapping[str, Any], int], str]] = {
        "emergency_stop": _stop,
        "risk_adjustment": _adjust,
        "session": _allow_sessions,
    }
    for kind, way in ways.items():
        # The clock's day may be that of the decision itself; it is known once it is booked.
        decision = acting_decision(lake, kind, day + timedelta(days=1), market=market, interval=interval)
        if decision is None or (decision["id"], ENGINE) in acted_upon(lake, market=market, interval=interval):
            continue
        if what := way(data_dir, decision, int(now.timestamp() * 1000)):
            book_action(lake, decision, day, by=ENGINE, what=what, market=market, interval=interval)
            found.append(CarriedOut(decision["id"], kind, what))
    return found


def _stop(data_dir: Path, decision: Mapping[str, Any], at_ms: int) -> str:
    if decision["value"] != "stop":
        return ""
    if flag_raised(kill_file(data_dir)) is not None:
        return "the flag of the kill switch was raised already"
    flag = KillFlag(at_ms, "every account", f"decision {decision['id']}: {decision['rule']}")
    if problem := raise_flag(kill_file(data_dir), flag):
        raise StorageError(f"the flag of the kill switch cannot be raised: {problem}", where=str(kill_file(data_dir)))
    return "the flag of the kill switch is raised"


def _adjust(data_dir: Path, decision: Mapping[str, Any], at_ms: int) -> str:
    store = FilePolicyStore(policy_folder(data_dir))
    version = store.current()
    if version is None:
        return ""
    is_stricter = RISK_FACTORS[decision["value"]] < RISK_FACTORS[version.policy.risk_mode]
    if decision["needs_person"] or not is_stricter:
        return ""  # a person's yes was carried out with the answer
    return _put(store, version, decision, at_ms, risk_mode=decision["value"])


def _allow_sessions(data_dir: Path, decision: Mapping[str, Any], at_ms: int) -> str:
    store = FilePolicyStore(policy_folder(data_dir))
    version = store.current()
    if version is None:
        return ""
    blocked = version.policy.blocked_sessions
    if decision["value"] != _SCALPING:
        wanted: Sequence[str] = blocked if _SCALPING in blocked else (*blocked, _SCALPING)
    elif _blocked_by(store.history()) == ENGINE:
        wanted = [name for name in blocked if name != _SCALPING]
    else:  # a person has blocked it, or nobody
        wanted = blocked
    return "" if tuple(wanted) == blocked else _put(store, version, decision, at_ms, blocked_sessions=tuple(wanted))


def _blocked_by(history: Sequence[PolicyVersion]) -> str:
    """Return who put the block on scalping that is in force; empty where there is none."""
    author = ""
    for version in history:
        if _SCALPING not in version.policy.blocked_sessions:
            author = ""
        elif not author:
            author = version.author
    return author


def _put(store: FilePolicyStore, seen: PolicyVersion, decision: Mapping[str, Any], at_ms: int, **changes: Any) -> str:
    policy = Policy.model_validate({**seen.policy.model_dump(), **changes})
    reason = f"decision {decision['id']}: {decision['rule']}"
    version = store.put(policy, author=ENGINE, reason=reason, at_ms=at_ms, after=seen.number)
    return f"policy {version.number} is in force"
