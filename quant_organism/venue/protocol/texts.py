"""The venue's words: sides, statuses and error texts, written as they were recorded.

Texts of single orders and cancels end in ` asset=N`; match them by their beginning.
"""

from typing import Final, Literal

Side = Literal["B", "A"]
Tif = Literal["Gtc", "Ioc", "Alo"]
Tpsl = Literal["tp", "sl"]

OPEN: Final = "open"
FILLED: Final = "filled"
CANCELED: Final = "canceled"
TRIGGERED: Final = "triggered"
REJECTED: Final = "rejected"
MARGIN_CANCELED: Final = "marginCanceled"
SELF_TRADE_CANCELED: Final = "selfTradeCanceled"
REDUCE_ONLY_CANCELED: Final = "reduceOnlyCanceled"
SIBLING_FILLED_CANCELED: Final = "siblingFilledCanceled"
DELISTED_CANCELED: Final = "delistedCanceled"
LIQUIDATED_CANCELED: Final = "liquidatedCanceled"
SCHEDULED_CANCEL: Final = "scheduledCancel"
IOC_CANCEL_REJECTED: Final = "iocCancelRejected"

PRICE_OFF_TICK: Final = "Price must be divisible by tick size."
INVALID_PRICE: Final = "Order has invalid price."
INVALID_SIZE: Final = "Order has invalid size."
ZERO_SIZE: Final = "Order has zero size."
INVALID_TPSL: Final = "Invalid TP/SL price."
MIN_NOTIONAL: Final = "Order must have minimum value of $10."
WOULD_INCREASE: Final = "Reduce only order would increase position."
NO_MATCH: Final = "Order could not immediately match against any resting orders."
POST_ONLY_PERIOD: Final = "Only post-only orders allowed immediately after a network upgrade"
TOO_FAR: Final = "Price too far from oracle"
MARGIN: Final = "Insufficient margin to place order."
HALTED: Final = "Trading is halted."
UNKNOWN_ASSET: Final = "Unknown asset."
OPEN_INTEREST_CAP: Final = "Order would increase open interest while open interest is capped."
NOT_OPEN: Final = "Order was never placed, already canceled, or filled."
CANNOT_MODIFY: Final = "Cannot modify canceled or filled order"
OVER_WEIGHT: Final = "Signed action over weight limit of 200."
NOT_ISOLATED: Final = "Position does not use isolated margin."
UNIFIED: Final = "Action disabled when unified account is active"
UNRECOVERABLE: Final = "Unable to recover signer."
UNSUPPORTED: Final = "Action is not supported by this venue."
NO_TWAP: Final = "TWAP was never placed, already canceled, or filled."
TWAP_MINUTES: Final = "Invalid TWAP duration."
CANCEL_TOO_SOON: Final = "Scheduled cancel time must be at least 5 seconds in the future."
CANCELS_USED_UP: Final = "Scheduled cancels of this day are used up."
INVALID_LEVERAGE: Final = "Invalid leverage value"
CROSS_FORBIDDEN: Final = "Cross margin is not allowed for this asset."
NO_SWITCH: Final = "Cannot switch leverage type with open position."
LEVERAGE_MARGIN: Final = "Cannot decrease leverage with open position."
ISOLATED_MARGIN: Final = "Cannot remove that much isolated margin."
ORDER_VALUE: Final = "Order exceeds maximum order value."
OPEN_ORDERS_REDUCE: Final = "Too many open orders to place reduce only or trigger orders."
UNKNOWN_DEX: Final = "Unknown perp dex."
WRONG_TOKEN: Final = "Token is not the collateral of the perp dex."
INSUFFICIENT: Final = "Insufficient balance for token transfer."
INSUFFICIENT_WITHDRAWAL: Final = "Insufficient balance for withdrawal."
UNKNOWN_TOKEN: Final = "Unknown token."
NO_SUB_ACCOUNT: Final = "Sub-account does not exist."
SUB_ACCOUNTS_USED_UP: Final = "Too many sub-accounts."
NO_VAULT: Final = "Vault does not exist."
VAULT_LOCKED: Final = "Vault deposit is still locked up."
VAULT_BUSY: Final = "Vault cannot pay that much while its positions are open."
AGENT_USED: Final = "Extra agent already used."
AGENTS_USED_UP: Final = "Too many extra agents."
AGENT_EXPIRY: Final = "Agent expiry must lie in the future, and 180 days ahead at most."
REFERRER_SET: Final = "Referrer already set."
NO_PORTFOLIO_MARGIN: Final = "Portfolio margin is not available to this account."
SIGNERS_UNKNOWN: Final = "Multi-sig authorized user does not exist."
NO_MULTI_SIG: Final = "User is not a multi-sig user."
MULTI_SIG_ONLY: Final = "Multi-sig required."
SIGNERS_MISSING: Final = "Not enough valid signatures of authorized users."
NO_STAKE: Final = "Insufficient staking balance."
NO_DEPLOY_GAS: Final = "Insufficient balance for gas."
NOT_THE_DEPLOYER: Final = "Only the deployer may set oracle prices."
NO_VALIDATOR: Final = "Validator does not exist."

_REJECTED: Final = {
    PRICE_OFF_TICK: "tickRejected",
    INVALID_PRICE: "tickRejected",
    INVALID_TPSL: "badTriggerPxRejected",
    MIN_NOTIONAL: "minTradeNtlRejected",
    WOULD_INCREASE: "reduceOnlyRejected",
    NO_MATCH: IOC_CANCEL_REJECTED,
    TOO_FAR: "oracleRejected",
    MARGIN: "perpMarginRejected",
    OPEN_INTEREST_CAP: "positionIncreaseAtOpenInterestCapRejected",
}


def for_asset(text: str, asset: int) -> str:
    """Return an item's text as it stands on the wire."""
    return f"{text} asset={asset}"


def rejected_status(text: str) -> str:
    """Return the status word of an order that was refused with this text."""
    return "badAloPxRejected" if text.startswith("Post only order") else _REJECTED.get(text, REJECTED)


def post_only_crossed(bid: str, ask: str) -> str:
    """Return the text for a post-only order that would have matched."""
    return f"Post only order would have immediately matched, bbo was {bid}@{ask}."


def no_such_user(address: str) -> str:
    """Return the text for an L1 action signed by nobody known."""
    return f"User or API Wallet {address} does not exist."


def must_deposit(address: str) -> str:
    """Return the text for a user-signed action of an account that never had money."""
    return f"Must deposit before performing actions. User: {address}"


def volume_gate(traded_usd: str) -> str:
    """Return the text for a scheduled cancel before enough was traded."""
    return f"Cannot set scheduled cancel time until enough volume traded. Required: $1000000. Traded: ${traded_usd}."


def sub_account_gate(traded_usd: str) -> str:
    """Return the text for a sub-account before enough was traded."""
    return f"Cannot create sub-accounts until enough volume traded. Required: $100000. Traded: ${traded_usd}."


def too_many_orders(cap: int) -> str:
    """Return the text for an order beyond the most that an account may have open."""
    return f"Too many open orders. Limit: {cap}."


def too_many_requests(used: int, cap: int, traded_usd: str) -> str:
    """Return the text for an address that has used up its requests."""
    return (
        f"Too many cumulative requests sent ({used} > {cap}) for cumulative volume traded ${traded_usd}. "
        "Place taker orders to free up 1 request per USDC traded."
    )
