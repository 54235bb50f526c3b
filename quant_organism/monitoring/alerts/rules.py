"""What is alarming in a measurement of health: one alert per cause, with how bad it is and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from quant_organism.monitoring.system_health import TRADER, SystemHealth

_LEVELS: Final = ("poor", "critical")


@dataclass(frozen=True)
class Alert:
    """One thing that somebody must hear of.

    Attributes
    ----------
    key
        What it is about; the same as long as it lasts.
    severity
        `warning` or `critical`.
    title, text, remedy
        In words.
    run
        Correlation id of the run that it is about; empty when it is about none.
    """

    key: str
    severity: Literal["warning", "critical"]
    title: str
    text: str
    remedy: str
    run: str = ""


def alerts_of(
    health: SystemHealth,
    *,
    max_drawdown: float,
    breakers: Sequence[str] = (),
    is_killed: bool = False,
    waiting: Sequence[Mapping[str, Any]] = (),
) -> list[Alert]:
    """Return what is alarming, each cause once.

    Parameters
    ----------
    health
        As measured.
    max_drawdown
        The trader's drawdown above which somebody must hear, a fraction.
    breakers
        Names of the trader's breakers that are open.
    is_killed
        Whether the kill switch was pulled.
    waiting
        Decisions that wait for a person's word, as `stored_decisions` returns them.
    """
    return [*_alerts(health, max_drawdown, breakers, is_killed), *map(_approval, waiting)]


def _approval(decision: Mapping[str, Any]) -> Alert:
    about, id = f"{decision['type'].replace('_', ' ')} of {decision['subject']}", decision["id"]
    text = f"{about}: {decision['value']}? Until {decision['valid_until']}, else {decision['otherwise']}."
    remedy = f"quant-organism decisions approve {id} --reason ..., or reject"
    return Alert(f"decision {id}", "warning", "An approval is waiting", text, remedy)


def _alerts(health: SystemHealth, max_drawdown: float, breakers: Sequence[str], is_killed: bool) -> Iterator[Alert]:
    if health.level in _LEVELS:
        ailing = ", ".join(one.component for one in health.ailing)
        yield Alert("health", "critical", f"Health is {health.level}", f"Not well: {ailing}", "quant-organism health")
    if is_killed:
        remedy = "when all is understood: quant-organism trade rearm"
        yield Alert(
            "kill", "critical", "The kill switch was pulled", "Nothing is entered until a person rearms.", remedy
        )
    for name in breakers:
        text = f"The breaker {name} is open: entries are held back."
        yield Alert(f"breaker {name}", "warning", f"Breaker {name} is open", text, "quant-organism trade watch")
    for one in health.components:
        if one.component == "risk" and one.unit == "fraction" and one.value is not None and one.value > max_drawdown:
            title = f"Drawdown is {one.value:.1%}"
            yield Alert(
                "drawdown", "warning", title, f"More than {max_drawdown:.0%} is lost from the peak.", one.remedy
            )
        if one.component == "strategies" and one.status == "degraded":
            yield Alert("decay", "warning", "A strategy decays", one.found, one.remedy)
        if one.status in ("failed", "unknown") and one.component != "alerts":
            title = f"{one.component.capitalize()} {'failed' if one.status == 'failed' else 'is not known'}"
            severity: Literal["warning", "critical"] = "critical" if one.component in TRADER else "warning"
            yield Alert(one.component, severity, title, one.found, one.remedy, one.run)
