"""/exchange: who may act and how much, whether the nonce is good, and what the action does (sections 3 to 5, 17)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from quant_organism.simulator.core import settlement, standing
from quant_organism.simulator.core.account import Account
from quant_organism.simulator.core.venue import err
from quant_organism.simulator.engine import Engine
from quant_organism.simulator.server.envelope import MULTI_SIG, Envelope, read_several
from quant_organism.simulator.spec import ServerSpec
from quant_organism.venue.protocol import (
    MICRO_USD,
    Action,
    CancelOrders,
    Malformed,
    MoveUsd,
    NonceWindow,
    SetAbstraction,
    Transfer,
    admission,
    parse_action,
    parse_address,
    signing,
    texts,
)

MINUTE_MS: Final = 60_000
EXPIRED: Final = "Action expired."


@dataclass(slots=True)
class WeightBucket:
    """REST weight of one address of the network; it fills up evenly.

    Parameters
    ----------
    per_minute
        What a full minute gives, and the most there can be.
    """

    per_minute: int
    left: float = field(init=False)
    at_ms: int = 0

    def __post_init__(self) -> None:
        self.left = float(self.per_minute)

    def take(self, weight: int, now_ms: int) -> bool:
        """Take a weight out; say whether there was anything left before."""
        self.left = min(self.per_minute, self.left + max(0, now_ms - self.at_ms) * self.per_minute / MINUTE_MS)
        self.at_ms = now_ms
        if self.left <= 0:
            return False
        self.left -= weight
        return True


def address_refusal(account: Account, count: int, now_ms: int, *, is_cancel: bool) -> str | None:
    """Count an action of so many items against an account's limit; return the refusal, or None where it passes.

    Beyond the limit one action passes in ten seconds; what is refused costs nothing.
    """
    volume = account.volume // MICRO_USD
    cap = admission.cancel_cap(volume) if is_cancel else admission.request_cap(volume)
    if account.requests_used + count > cap:
        last = account.over_limit_pass_ms
        if last is not None and now_ms - last < admission.OVER_LIMIT_INTERVAL_MS:
            return texts.too_many_requests(account.requests_used + count, cap, settlement.traded_text(account))
        account.over_limit_pass_ms = now_ms
    account.requests_used += count
    return None


def _named_account(action: Mapping[str, Any], read: Action) -> str | None:
    """Return the sub-account that a user-signed action names, or None where it is about the signer's own."""
    if isinstance(read, MoveUsd):
        return read.sub_account
    if isinstance(read, SetAbstraction):
        return read.user
    named = action.get("fromSubAccount")
    return None if named in (None, "") else parse_address(named, "fromSubAccount")


class ActionDesk:
    """Takes signed actions in.

    Parameters
    ----------
    engine
        The venue.
    spec
        How signatures and nonces are judged.
    signing_time
        Time in ms by which nonces and expiry are judged.
    refusal
        Asked about every action that was admitted, with its account's address: a text to refuse it with, or None.
    """

    def __init__(
        self,
        engine: Engine,
        spec: ServerSpec,
        signing_time: Callable[[], int],
        refusal: Callable[[Envelope, str], str | None],
    ) -> None:
        self._engine, self._spec, self._time, self._refusal = engine, spec, signing_time, refusal

    def take(self, envelope: Envelope) -> tuple[dict[str, Any], str | None]:
        """Return the answer to a request, and the account that it acts for; only an admitted one changes anything.

        Raises
        ------
        Malformed
            Its action cannot be read.
        """
        several = read_several(envelope) if envelope.kind == MULTI_SIG else None
        told = envelope if several is None else several.told
        action = parse_action(told.action)
        if action is None:
            return err(texts.UNSUPPORTED), None
        self._check_told(told)
        signer = self._signer(envelope) if several is None else several.sender(mainnet=self._spec.mainnet)
        if signer is None:
            return err(texts.UNRECOVERABLE), None
        accounts = self._engine.venue.state.accounts
        if several is not None:
            refused = several.refusal(accounts.get(several.user), signer, mainnet=self._spec.mainnet)
            if refused is not None:
                return err(refused), None
        elif signer in accounts and accounts[signer].signers:
            return err(texts.MULTI_SIG_ONLY), None
        account = self._account(told, action, signer if several is None else several.user)
        if account is None:
            by_user = told.kind in signing.USER_SIGNED
            return err(texts.must_deposit(signer) if by_user else texts.no_such_user(signer)), None
        refused = self._admit(envelope, account, signer) or self._over_limit(told, account, action)
        refused = refused or self._refusal(told, account.address)
        return (self._engine.act(account, action) if refused is None else err(refused)), account.address

    def owner_of(self, signer: str) -> Account | None:
        """Return the account that an address may act for: its own, or the one whose agent it is."""
        own = self._engine.venue.state.accounts.get(signer)
        if own is not None:
            return own
        acting = standing.agent_of(self._engine.venue.core, signer)
        return None if acting is None else acting[0]

    def _over_limit(self, envelope: Envelope, account: Account, action: Action) -> str | None:
        count = admission.batch_length(envelope.action)
        if count > admission.MAX_ITEMS_PER_ACTION:
            return texts.OVER_WEIGHT
        if not self._spec.limit_addresses:
            return None
        return address_refusal(account, count, self._engine.now_ms, is_cancel=isinstance(action, CancelOrders))

    def _signer(self, envelope: Envelope) -> str | None:
        if envelope.kind not in signing.USER_SIGNED:
            return signing.l1_signer(
                envelope.action,
                envelope.signature,
                envelope.nonce,
                vault=envelope.vault,
                expires_after_ms=envelope.expires_after_ms,
                mainnet=self._spec.mainnet,
            )
        return signing.user_signer(envelope.action, envelope.signature)

    def _check_told(self, envelope: Envelope) -> None:
        """Have what is signed field by field name this network and this request: it could be sent again otherwise."""
        if envelope.kind not in signing.USER_SIGNED:
            return
        chain = "Mainnet" if self._spec.mainnet else "Testnet"
        signed_nonce = envelope.action.get("time" if envelope.kind in signing.TIMED else "nonce")
        if envelope.action.get("hyperliquidChain") != chain or signed_nonce != envelope.nonce:
            raise Malformed(f"hyperliquidChain {chain} and the request's nonce are expected", where="action")

    def _account(self, envelope: Envelope, action: Action, signer: str) -> Account | None:
        accounts = self._engine.venue.state.accounts
        if envelope.kind in signing.USER_SIGNED:
            return self._of(accounts.get(signer), _named_account(envelope.action, action))
        if isinstance(action, get_args(Transfer)):
            return accounts.get(signer)  # what an agent may do is trade
        return self._of(self.owner_of(signer), envelope.vault)

    def _of(self, owner: Account | None, named: str | None) -> Account | None:
        """Return the account that is acted for: the owner's own, or a sub-account or vault of it that is named."""
        if owner is None or named is None or named == owner.address:
            return owner
        acted = self._engine.venue.state.accounts.get(named)
        return acted if acted is not None and acted.master == owner.address else None

    def _admit(self, envelope: Envelope, account: Account, signer: str) -> str | None:
        now = self._time()
        window = self._engine.venue.state.signers.setdefault(signer, NonceWindow())
        refused = window.refusal(envelope.nonce, now)
        if refused is not None:
            return refused
        window.consume(envelope.nonce)
        if envelope.expires_after_ms is not None and envelope.expires_after_ms < now:
            account.requests_used += admission.STALE_EXPIRY_FACTOR
            return EXPIRED
        return None
