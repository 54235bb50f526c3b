"""Who signed: the address behind an action's signature.

The digests are those of the official SDK; here the domain is hashed once, and r and s may lack leading zeros.
Reference: section 3.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgpack
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError
from hyperliquid.utils.signing import (
    CONVERT_TO_MULTI_SIG_USER_SIGN_TYPES,
    MULTI_SIG_ENVELOPE_SIGN_TYPES,
    SEND_ASSET_SIGN_TYPES,
    SPOT_TRANSFER_SIGN_TYPES,
    TOKEN_DELEGATE_TYPES,
    USD_CLASS_TRANSFER_SIGN_TYPES,
    USD_SEND_SIGN_TYPES,
    USER_DEX_ABSTRACTION_SIGN_TYPES,
    USER_SET_ABSTRACTION_SIGN_TYPES,
    WITHDRAW_SIGN_TYPES,
    add_multi_sig_types,
    user_signed_payload,
)

from quant_organism.venue.protocol.decimals import Malformed

USER_SIGNED: Final[Mapping[str, tuple[str, list[dict[str, str]]]]] = {
    "approveAgent": (
        "HyperliquidTransaction:ApproveAgent",
        [
            {"name": "hyperliquidChain", "type": "string"},
            {"name": "agentAddress", "type": "address"},
            {"name": "agentName", "type": "string"},
            {"name": "nonce", "type": "uint64"},
        ],
    ),
    "approveBuilderFee": (
        "HyperliquidTransaction:ApproveBuilderFee",
        [
            {"name": "hyperliquidChain", "type": "string"},
            {"name": "maxFeeRate", "type": "string"},
            {"name": "builder", "type": "address"},
            {"name": "nonce", "type": "uint64"},
        ],
    ),
    "sendAsset": ("HyperliquidTransaction:SendAsset", SEND_ASSET_SIGN_TYPES),
    "usdSend": ("HyperliquidTransaction:UsdSend", USD_SEND_SIGN_TYPES),
    "spotSend": ("HyperliquidTransaction:SpotSend", SPOT_TRANSFER_SIGN_TYPES),
    "withdraw3": ("HyperliquidTransaction:Withdraw", WITHDRAW_SIGN_TYPES),
    "usdClassTransfer": ("HyperliquidTransaction:UsdClassTransfer", USD_CLASS_TRANSFER_SIGN_TYPES),
    "userDexAbstraction": ("HyperliquidTransaction:UserDexAbstraction", USER_DEX_ABSTRACTION_SIGN_TYPES),
    "userSetAbstraction": ("HyperliquidTransaction:UserSetAbstraction", USER_SET_ABSTRACTION_SIGN_TYPES),
    "convertToMultiSigUser": (
        "HyperliquidTransaction:ConvertToMultiSigUser",
        CONVERT_TO_MULTI_SIG_USER_SIGN_TYPES,
    ),
    "tokenDelegate": ("HyperliquidTransaction:TokenDelegate", TOKEN_DELEGATE_TYPES),
}
"""Primary type and fields of the actions that a user signs field by field, by action type."""

TIMED: Final = frozenset({"usdSend", "spotSend", "withdraw3"})
"""Those of them that call their nonce `time`."""

_DOMAIN: Final = keccak(
    keccak(text="EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    + keccak(text="Exchange")
    + keccak(text="1")
    + (1337).to_bytes(32, "big")
    + bytes(32)
)
_AGENT: Final = keccak(text="Agent(string source,bytes32 connectionId)")
_MODES: Final = {"u": "unifiedAccount", "p": "portfolioMargin", "i": "disabled"}
_SOURCES: Final = {True: keccak(text="a"), False: keccak(text="b")}


def connection_id(action: Any, nonce: int, vault: str | None, expires_after_ms: int | None) -> bytes:
    """Return the hash that an L1 action's phantom agent carries; the order of the action's keys is part of it."""
    try:
        data = msgpack.packb(action) + nonce.to_bytes(8, "big")
        data += b"\x00" if vault is None else b"\x01" + bytes.fromhex(vault.removeprefix("0x"))
        if expires_after_ms is not None:
            data += b"\x00" + expires_after_ms.to_bytes(8, "big")
    except (OverflowError, ValueError, TypeError) as error:
        raise Malformed(f"cannot be hashed: {error}", where="action") from error
    return bytes(keccak(data))


def l1_signer(
    action: Any,
    signature: Mapping[str, Any],
    nonce: int,
    *,
    vault: str | None,
    expires_after_ms: int | None,
    mainnet: bool,
) -> str | None:
    """Return the lower-case address that signed an L1 action, or None where none can be recovered.

    Any wrong field gives another address, not None: that is how the venue sees a forged request.
    """
    phantom = keccak(_AGENT + _SOURCES[mainnet] + connection_id(action, nonce, vault, expires_after_ms))
    v, r, s = _vrs(signature)
    try:
        signed = Signature(vrs=(v - 27, r, s))
        key = signed.recover_public_key_from_msg_hash(keccak(b"\x19\x01" + _DOMAIN + phantom))
    except (BadSignature, ValidationError, ValueError):
        return None
    return str(key.to_address())


def user_signer(action: Mapping[str, Any], signature: Mapping[str, Any]) -> str | None:
    """Return the lower-case address that signed a user-signed action, or None where none can be recovered.

    An absent agent name was signed as an empty one.

    Raises
    ------
    Malformed
        A field that is signed is missing or of a wrong kind.
    """
    primary_type, fields = USER_SIGNED[str(action.get("type"))]
    message = {"agentName": "", **action}
    if message["agentName"] is None:
        message["agentName"] = ""
    return _typed_signer(primary_type, fields, message, signature)


def multi_sig_sender(
    action: Mapping[str, Any],
    signature: Mapping[str, Any],
    nonce: int,
    *,
    vault: str | None,
    expires_after_ms: int | None,
    mainnet: bool,
) -> str | None:
    """Return the lower-case address that sent an action of several signers, or None where none can be recovered.

    Raises
    ------
    Malformed
        A field that is signed is missing or of a wrong kind.
    """
    told = {key: value for key, value in action.items() if key != "type"}
    message = {
        "hyperliquidChain": "Mainnet" if mainnet else "Testnet",
        "multiSigActionHash": connection_id(told, nonce, vault, expires_after_ms),
        "nonce": nonce,
        "signatureChainId": action.get("signatureChainId"),
    }
    return _typed_signer("HyperliquidTransaction:SendMultiSig", MULTI_SIG_ENVELOPE_SIGN_TYPES, message, signature)


def multi_sig_signer(
    user: str,
    sender: str,
    inner: Mapping[str, Any],
    signature: Mapping[str, Any],
    nonce: int,
    *,
    vault: str | None,
    expires_after_ms: int | None,
    mainnet: bool,
) -> str | None:
    """Return who signed the action that several must sign, as one of them; None where nobody can be recovered.

    Parameters
    ----------
    user, sender
        Whose action it is, and who sends it; both are signed, in lower case.
    inner
        The action itself.

    Raises
    ------
    Malformed
        A field that is signed is missing or of a wrong kind.
    """
    kind = str(inner.get("type"))
    if kind not in USER_SIGNED:
        signed = [user, sender, inner]
        return l1_signer(signed, signature, nonce, vault=vault, expires_after_ms=expires_after_ms, mainnet=mainnet)
    primary_type, fields = USER_SIGNED[kind]
    message = {"agentName": "", **inner, "payloadMultiSigUser": user, "outerSigner": sender}
    if kind == "userSetAbstraction":  # sent by its letter, signed by its word
        message["abstraction"] = _MODES.get(str(inner.get("abstraction")), inner.get("abstraction"))
    return _typed_signer(primary_type, add_multi_sig_types(fields), message, signature)


def _typed_signer(
    primary_type: str, fields: list[dict[str, str]], message: Mapping[str, Any], signature: Mapping[str, Any]
) -> str | None:
    v, r, s = _vrs(signature)
    try:
        data = encode_typed_data(full_message=user_signed_payload(primary_type, fields, message))
    except Exception as error:  # the encoders raise many kinds for one cause: a field that does not fit its type
        raise Malformed(f"cannot be hashed: {error}", where="action") from error
    try:
        return str(Account.recover_message(data, vrs=(v, r, s))).lower()
    except (BadSignature, ValidationError, ValueError):
        return None


def _vrs(signature: Mapping[str, Any]) -> tuple[int, int, int]:
    try:
        v, r, s = signature["v"], int(signature["r"], 16), int(signature["s"], 16)
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed("r, s and v are expected", where="signature") from error
    if isinstance(v, bool) or v not in (27, 28) or r >= 1 << 256 or s >= 1 << 256 or r < 0 or s < 0:
        raise Malformed("v is 27 or 28, r and s have at most 64 digits", where="signature")
    return v, r, s
