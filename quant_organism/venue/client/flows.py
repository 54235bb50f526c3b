"""Money that comes and goes beside trades: funding, deposits, withdrawals, transfers, what a liquidation takes.

What counts is what the margin accounts of perpetuals receive, or pay; of a unified account, all its USDC. An entry of a
kind that is not known here moves nothing by our books, and is kept all the same: where it did move something, the
comparison with the venue says so.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import orjson

from quant_organism.venue.client.account import number, reading

FUNDING: Final = "funding"
LIQUIDATION: Final = "liquidation"
_SPOT: Final = "spot"
_USDC: Final = "USDC"


@dataclass(frozen=True, slots=True)
class CashFlow:
    """Money that came, or went, without a trade; (`time_ms`, `kind`, `coin`, `name`) tells it from every other.

    Parameters
    ----------
    time_ms
        UTC, by the venue.
    kind
        `funding`, or the venue's word for an entry of the account's ledger.
    coin
        Of funding; empty where it is of none.
    name
        The venue's hash and what it says, of an entry of the ledger; empty for funding.
    usd
        What the margin accounts received, negative where they paid; other collateral counts as dollars.
    """

    time_ms: int
    kind: str
    coin: str
    name: str
    usd: Decimal


def read_fundings(answer: Any) -> list[CashFlow]:
    """Return the payments of `userFunding`.

    Raises
    ------
    VenueUnreadable
        It is none.
    """
    return reading(lambda rows: [funding_of(row["time"], row["delta"]) for row in rows], answer, "userFunding")


def read_ledger(answer: Any, user: str, *, is_unified: bool = False) -> list[CashFlow]:
    """Return the entries of `userNonFundingLedgerUpdates`, as they move the money of `user`.

    Parameters
    ----------
    answer
        Of the venue.
    user
        Whose it is.
    is_unified
        Its USDC in spot serves perpetuals too.

    Raises
    ------
    VenueUnreadable
        It is none.
    """
    return reading(
        lambda rows: [ledger_entry_of(row, user, is_unified=is_unified) for row in rows],
        answer,
        "userNonFundingLedgerUpdates",
    )


def funding_of(time_ms: int, body: Mapping[str, Any]) -> CashFlow:
    """Return a payment of funding; streams have its time beside the rest, answers around it.

    Raises
    ------
    KeyError, TypeError, ValueError, InvalidOperation
        It is none.
    """
    return CashFlow(int(time_ms), FUNDING, str(body["coin"]), "", number(body["usdc"]))


def ledger_entry_of(row: Mapping[str, Any], user: str, *, is_unified: bool = False) -> CashFlow:
    """Return an entry of an account's ledger.

    Raises
    ------
    KeyError, TypeError, ValueError, InvalidOperation
        It is none.
    """
    delta = row["delta"]
    kind, said = str(delta["type"]), orjson.dumps(delta, option=orjson.OPT_SORT_KEYS).decode()
    amounts = _AMOUNTS_OF_UNIFIED if is_unified else _AMOUNTS
    usd = amounts.get(kind, _nothing)(delta, user.lower())
    return CashFlow(int(row["time"]), kind, "", f"{row['hash']} {said}", usd)


def flows_in_order(flows: Iterable[CashFlow]) -> list[CashFlow]:
    """Return flows by time, each once."""
    once = {(flow.time_ms, flow.kind, flow.coin, flow.name): flow for flow in flows}
    return [once[key] for key in sorted(once)]


def _nothing(delta: Mapping[str, Any], user: str) -> Decimal:
    return Decimal(0)


def _withdrawn(delta: Mapping[str, Any], user: str) -> Decimal:
    return -number(delta["usdc"]) - number(delta.get("fee") or 0)


def _between(delta: Mapping[str, Any], user: str) -> Decimal:
    """Return what a transfer from one account to another brought: the sender pays the fee."""
    usdc, came = number(delta["usdc"]), str(delta["destination"]).lower() == user
    went = str(delta["user"]).lower() == user
    return usdc * (int(came) - int(went)) - (number(delta.get("fee") or 0) if went else 0)


def _sent(delta: Mapping[str, Any], user: str) -> Decimal:
    """Return what was sent from dex to dex brought; what lies in spot is none of them."""
    came = str(delta["destination"]).lower() == user and delta["destinationDex"] != _SPOT
    went = str(delta["user"]).lower() == user and delta["sourceDex"] != _SPOT
    return number(delta["amount"]) * (int(came) - int(went)) - (number(delta.get("fee") or 0) if went else 0)


def _sent_in_usdc(delta: Mapping[str, Any], user: str) -> Decimal:
    """Return what was sent from account to account brought, wherever it lay."""
    if delta["token"] != _USDC:
        return Decimal(0)
    came, went = (str(delta[key]).lower() == user for key in ("destination", "user"))
    return number(delta["amount"]) * (int(came) - int(went)) - (number(delta.get("fee") or 0) if went else 0)


def _to_vault(delta: Mapping[str, Any], user: str) -> Decimal:
    return number(delta["usdc"]) * (1 if str(delta["vault"]).lower() == user else -1)


def _from_vault(delta: Mapping[str, Any], user: str) -> Decimal:
    return number(delta["netWithdrawnUsd"]) * (-1 if str(delta["vault"]).lower() == user else 1)


_AMOUNTS: Final[Mapping[str, Callable[[Mapping[str, Any], str], Decimal]]] = {
    "deposit": lambda delta, user: number(delta["usdc"]),
    "withdraw": _withdrawn,
    "accountClassTransfer": lambda delta, user: number(delta["usdc"]) * (1 if delta["toPerp"] is True else -1),
    "internalTransfer": _between,
    "subAccountTransfer": _between,
    "send": _sent,
    "vaultCreate": _to_vault,
    "vaultDeposit": _to_vault,
    "vaultWithdraw": _from_vault,
    "vaultDistribution": lambda delta, user: number(delta["usdc"]),
    "vaultLeaderCommission": lambda delta, user: number(delta["usdc"]),
    LIQUIDATION: lambda delta, user: -number(delta["accountValue"]),
}
"""What an entry of the ledger brings; of other kinds nothing is known, or they move spot only."""
_AMOUNTS_OF_UNIFIED: Final[Mapping[str, Callable[[Mapping[str, Any], str], Decimal]]] = {
    **_AMOUNTS,
    "accountClassTransfer": _nothing,
    "send": _sent_in_usdc,
    "spotTransfer": _sent_in_usdc,
}
"""Where spot is no other place."""
