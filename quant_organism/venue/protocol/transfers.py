"""Actions that move money: between perpetuals, spot and dexs, addresses, sub-accounts and vaults; over the bridge."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from quant_organism.venue.protocol.decimals import Malformed, parse_wire
from quant_organism.venue.protocol.reading import parse_address, parse_bare_address, parse_bool, parse_int

SPOT: Final = "spot"
"""Name under which the spot balances stand where the dexs of perpetuals have theirs."""

SUB_ACCOUNT_MARK: Final = " subaccount:"
"""Between the amount of a transfer between perpetuals and spot and the sub-account that it is of."""


@dataclass(frozen=True, slots=True)
class SendAsset:
    """A token to send from one place to another, of the same address or not.

    Parameters
    ----------
    source_dex, destination_dex
        Dexs by name, the venue's own empty, or `spot`.
    token
        By name.
    """

    destination: str
    source_dex: str
    destination_dex: str
    token: str
    amount: Decimal
    nonce: int


@dataclass(frozen=True, slots=True)
class MoveUsd:
    """USDC to move between perpetuals and spot of one account."""

    amount: Decimal
    to_perp: bool
    sub_account: str | None


@dataclass(frozen=True, slots=True)
class SendUsd:
    """USDC to send from the perpetuals of one address to those of another."""

    destination: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class SendSpot:
    """A token to send from the spot balances of one address to those of another."""

    destination: str
    token: str
    amount: Decimal
    nonce: int


@dataclass(frozen=True, slots=True)
class WithdrawUsd:
    """USDC to take out over the bridge."""

    destination: str
    amount: Decimal
    nonce: int


@dataclass(frozen=True, slots=True)
class CreateSubAccount:
    """A sub-account to make."""

    name: str


@dataclass(frozen=True, slots=True)
class SubAccountUsd:
    """Micro-USD to move between the perpetuals of a master and of its sub-account."""

    sub_account: str
    is_deposit: bool
    micro_usd: int


@dataclass(frozen=True, slots=True)
class SubAccountSpot:
    """A token to move between the spot balances of a master and of its sub-account."""

    sub_account: str
    is_deposit: bool
    token: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class VaultUsd:
    """Micro-USD to put into a vault, or to take out of it."""

    vault: str
    is_deposit: bool
    micro_usd: int


Transfer = (
    SendAsset
    | MoveUsd
    | SendUsd
    | SendSpot
    | WithdrawUsd
    | CreateSubAccount
    | SubAccountUsd
    | SubAccountSpot
    | VaultUsd
)


def _send_asset(body: Mapping[str, Any]) -> SendAsset:
    source, target = body.get("sourceDex"), body.get("destinationDex")
    if not isinstance(source, str) or not isinstance(target, str):
        raise Malformed("sourceDex and destinationDex are expected", where="sendAsset")
    return SendAsset(
        destination=parse_address(body.get("destination"), "destination"),
        source_dex=source,
        destination_dex=target,
        token=_token(body),
        amount=parse_wire(body.get("amount")),
        nonce=parse_int(body.get("nonce"), "nonce"),
    )


def _move_usd(body: Mapping[str, Any]) -> MoveUsd:
    said = body.get("amount")
    if not isinstance(said, str):
        raise Malformed("an amount is expected", where="amount")
    amount, marked, sub_account = said.partition(SUB_ACCOUNT_MARK)
    named = parse_address(sub_account, "amount") if marked else None
    return MoveUsd(parse_wire(amount), parse_bool(body.get("toPerp"), "toPerp"), named)


def _send_usd(body: Mapping[str, Any]) -> SendUsd:
    return SendUsd(parse_address(body.get("destination"), "destination"), parse_wire(body.get("amount")))


def _send_spot(body: Mapping[str, Any]) -> SendSpot:
    destination = parse_address(body.get("destination"), "destination")
    return SendSpot(destination, _token(body), parse_wire(body.get("amount")), parse_int(body.get("time"), "time"))


def _withdraw(body: Mapping[str, Any]) -> WithdrawUsd:
    destination = parse_address(body.get("destination"), "destination")
    return WithdrawUsd(destination, parse_wire(body.get("amount")), parse_int(body.get("time"), "time"))


def _create(body: Mapping[str, Any]) -> CreateSubAccount:
    name = body.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= 16:
        raise Malformed("a name has 1 to 16 characters", where="name")
    return CreateSubAccount(name)


def _sub_account_usd(body: Mapping[str, Any]) -> SubAccountUsd:
    return SubAccountUsd(
        parse_address(body.get("subAccountUser"), "subAccountUser"),
        parse_bool(body.get("isDeposit"), "isDeposit"),
        parse_int(body.get("usd"), "usd"),
    )


def _sub_account_spot(body: Mapping[str, Any]) -> SubAccountSpot:
    return SubAccountSpot(
        parse_address(body.get("subAccountUser"), "subAccountUser"),
        parse_bool(body.get("isDeposit"), "isDeposit"),
        _token(body),
        parse_wire(body.get("amount")),
    )


def _vault_usd(body: Mapping[str, Any]) -> VaultUsd:
    return VaultUsd(
        parse_bare_address(body.get("vaultAddress"), "vaultAddress"),
        parse_bool(body.get("isDeposit"), "isDeposit"),
        parse_int(body.get("usd"), "usd"),
    )


def _token(body: Mapping[str, Any]) -> str:
    """Return the name of a token that is said as `USDC`, or as `USDC:` and its id."""
    token = body.get("token")
    if not isinstance(token, str):
        raise Malformed("a token is expected", where="token")
    return token.partition(":")[0]


TRANSFER_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Transfer]]] = {
    "sendAsset": _send_asset,
    "usdClassTransfer": _move_usd,
    "usdSend": _send_usd,
    "spotSend": _send_spot,
    "withdraw3": _withdraw,
    "createSubAccount": _create,
    "subAccountTransfer": _sub_account_usd,
    "subAccountSpotTransfer": _sub_account_spot,
    "vaultTransfer": _vault_usd,
}
"""Reader of each action that moves money, by its type."""
