"""Signed requests as they are read: what is asked, who signed, and what several signers must have signed together."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from quant_organism.simulator.core.account import Account
from quant_organism.venue.protocol import Malformed, parse_address, parse_bare_address, parse_int, signing, texts

MULTI_SIG: Final = "multiSig"


@dataclass(frozen=True, slots=True)
class Envelope:
    """A signed request.

    Parameters
    ----------
    action
        As it was sent, with its keys in their order.
    kind
        Its type.
    nonce, vault, expires_after_ms
        What is signed beside the action.
    signature
        r, s and v.
    """

    action: Mapping[str, Any]
    kind: str
    nonce: int
    signature: Mapping[str, Any]
    vault: str | None
    expires_after_ms: int | None


def read_envelope(body: object) -> Envelope:
    """Return a request of /exchange.

    Raises
    ------
    Malformed
        A field is missing or of a wrong kind; nulls may be left out.
    """
    if not isinstance(body, Mapping) or not isinstance(body.get("action"), Mapping):
        raise Malformed("action, nonce and signature are expected", where="request")
    action, signature = body["action"], body.get("signature")
    if not isinstance(action.get("type"), str) or not isinstance(signature, Mapping):
        raise Malformed("action, nonce and signature are expected", where="request")
    vault, expires = body.get("vaultAddress"), body.get("expiresAfter")
    nonce = parse_int(body.get("nonce"), "nonce")
    if nonce < 0:
        raise Malformed(f"{nonce} is negative", where="nonce")
    expires_ms = None if expires is None else parse_int(expires, "expiresAfter")
    if expires_ms is not None and expires_ms < 0:
        raise Malformed(f"{expires_ms} is negative", where="expiresAfter")
    return Envelope(
        action=action,
        kind=action["type"],
        nonce=nonce,
        signature=signature,
        vault=None if vault is None else parse_bare_address(vault, "vaultAddress"),
        expires_after_ms=expires_ms,
    )


@dataclass(frozen=True, slots=True)
class SignedBySeveral:
    """A request of an account that has several signers.

    Parameters
    ----------
    told
        The request as if its user had sent it.
    envelope
        The request as it came.
    user, sender_named
        Whose it is, and who says to send it.
    signatures
        Of the signers.
    """

    told: Envelope
    envelope: Envelope
    user: str
    sender_named: str
    signatures: tuple[Mapping[str, Any], ...]

    def sender(self, *, mainnet: bool) -> str | None:
        """Return who has sent it, or None where nobody can be recovered."""
        return signing.multi_sig_sender(
            self.envelope.action,
            self.envelope.signature,
            self.envelope.nonce,
            vault=self.envelope.vault,
            expires_after_ms=self.envelope.expires_after_ms,
            mainnet=mainnet,
        )

    def refusal(self, account: Account | None, sender: str, *, mainnet: bool) -> str | None:
        """Return why it is not taken, or None where enough of those who must have signed.

        Parameters
        ----------
        account
            Of the user.
        sender
            Who has sent it; one of the signers.
        """
        if account is None or not account.signers:
            return texts.NO_MULTI_SIG
        if sender != self.sender_named or sender not in account.signers:
            return texts.no_such_user(sender)
        signed = {
            signing.multi_sig_signer(
                self.user,
                sender,
                self.told.action,
                signature,
                self.envelope.nonce,
                vault=self.envelope.vault,
                expires_after_ms=self.envelope.expires_after_ms,
                mainnet=mainnet,
            )
            for signature in self.signatures
        }
        return None if len(signed & set(account.signers)) >= account.threshold else texts.SIGNERS_MISSING


def read_several(envelope: Envelope) -> SignedBySeveral:
    """Return a request of several signers.

    Raises
    ------
    Malformed
        A field is missing or of a wrong kind.
    """
    payload, signatures = envelope.action.get("payload"), envelope.action.get("signatures")
    inner = payload.get("action") if isinstance(payload, Mapping) else None
    if not isinstance(payload, Mapping) or not isinstance(inner, Mapping) or not isinstance(inner.get("type"), str):
        raise Malformed("multiSigUser, outerSigner and action are expected", where="payload")
    if not isinstance(signatures, list) or not all(isinstance(each, Mapping) for each in signatures):
        raise Malformed("a list of signatures is expected", where="signatures")
    return SignedBySeveral(
        told=replace(envelope, action=inner, kind=inner["type"]),
        envelope=envelope,
        user=parse_address(payload.get("multiSigUser"), "multiSigUser"),
        sender_named=parse_address(payload.get("outerSigner"), "outerSigner"),
        signatures=tuple(signatures),
    )
