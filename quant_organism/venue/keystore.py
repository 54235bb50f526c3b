"""Keys at rest and in memory: encrypted keyfiles (Web3 Secret Storage v3: scrypt, AES, MAC), for their owner only.

Only agent wallets belong here: they may trade for an account but cannot withdraw. A key is never shown, logged or
pickled.
"""

import contextlib
import json
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from quant_organism.errors import InputError, IntegrityError
from quant_organism.resilience import flush_folders, storage_error

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
MIN_PASSPHRASE: Final = 8
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
_KEY: Final = re.compile(r"(?:0x)?[0-9a-fA-F]{64}")


class Wallet:
    """A wallet that can sign. Its text is its address, whatever prints it; it cannot be pickled.

    Parameters
    ----------
    account
        Of eth-account.
    """

    __slots__ = ("_account",)

    def __init__(self, account: "LocalAccount") -> None:
        self._account = account

    @property
    def address(self) -> str:
        """Lower-case address."""
        return str(self._account.address).lower()

    def sign_l1(
        self, action: Any, nonce: int, expires_after_ms: int | None, *, mainnet: bool, vault: str | None = None
    ) -> dict[str, Any]:
        """Return r, s and v of an L1 action, as the official SDK signs it; for a sub-account or vault it names that."""
        from hyperliquid.utils.signing import sign_l1_action

        signature: dict[str, Any] = sign_l1_action(self._account, action, vault, nonce, expires_after_ms, mainnet)
        return signature

    def secret(self) -> str:
        """Return the private key, for the pipe of a process that must sign on its own; never to be kept or shown."""
        return "0x" + bytes(self._account.key).hex()

    def __repr__(self) -> str:
        return f"Wallet({self.address})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a wallet is not written down; load it from the keystore")


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A key as it may be shown."""

    name: str
    address: str


def wallet_of(key: str) -> Wallet:
    """Return the wallet of a private key.

    Raises
    ------
    InputError
        Not 64 hexadecimal digits, or not a key of the curve; the message does not hold it.
    """
    from eth_account import Account

    text = key.strip()
    try:
        if _KEY.fullmatch(text):
            return Wallet(Account.from_key(text if text.startswith("0x") else f"0x{text}"))
    except Exception:  # whatever the library raises may hold the key
        pass
    raise InputError(
        "that is not a private key", where="key", remedy="give the 64 hexadecimal digits of an agent wallet"
    )


class Keystore:
    """Keyfiles in a folder.

    Parameters
    ----------
    folder
        Made when the first key comes in.
    iterations
        Work factor of scrypt; none: eth-account's own. A lower one is for tests.
    """

    def __init__(self, folder: Path, *, iterations: int | None = None) -> None:
        self._folder, self._iterations = folder, iterations

    def add(self, name: str, key: str, passphrase: str) -> KeyEntry:
        """Encrypt a key and keep it under a name.

        Raises
        ------
        InputError
            The name is taken or not usable, the passphrase too short, the key none.
        StorageError
            The folder cannot be written.
        """
        from eth_account import Account

        path = self._path(name)
        if len(passphrase) < MIN_PASSPHRASE:
            raise InputError(
                f"a passphrase of {len(passphrase)} characters",
                where="passphrase",
                remedy=f"use at least {MIN_PASSPHRASE}",
            )
        wallet = wallet_of(key)
        secret = bytes.fromhex(key.strip().removeprefix("0x"))
        keyfile = Account.encrypt(secret, passphrase, kdf="scrypt", iterations=self._iterations)
        self._write_new(path, json.dumps(keyfile).encode())
        return KeyEntry(name, wallet.address)

    def entries(self) -> list[KeyEntry]:
        """Return names and addresses, by name.

        Raises
        ------
        IntegrityError
            A file is not a keyfile.
        """
        return [
            KeyEntry(path.stem, _address(_read(path), path))
            for path in sorted(self._folder.glob("*.json"))
            if not path.name.startswith(".")
        ]

    def load(self, name: str, passphrase: Callable[[], str]) -> Wallet:
        """Return the wallet of a name.

        Parameters
        ----------
        name
            As `entries` lists it.
        passphrase
            Asked once, only if there is such a key.

        Raises
        ------
        InputError
            There is no such key, or the passphrase does not open it.
        IntegrityError
            The file is readable by others, is not a keyfile, or holds another address's key.
        """
        from eth_account import Account

        path = self._path(name)
        if not path.is_file():
            known = ", ".join(entry.name for entry in self.entries()) or "none yet"
            raise InputError(
                f"no key is called {name!r} (there are: {known})",
                where=str(self._folder),
                remedy="bring it in with `quant-organism keys import NAME`",
            )
        if path.stat().st_mode & 0o077:
            raise IntegrityError("others can read this key", where=str(path), remedy=f"chmod 600 {path}")
        keyfile = _read(path)
        expected, said = _address(keyfile, path), passphrase()
        try:
            wallet = Wallet(Account.from_key(Account.decrypt(keyfile, said)))
        except Exception:  # a wrong passphrase shows as any of several kinds, and none may carry the key
            wallet = None
        if wallet is None:
            raise InputError("the passphrase does not open this key", where=str(path), remedy="try again")
        if wallet.address != expected:
            raise IntegrityError(
                f"it says {expected} and holds the key of {wallet.address}", where=str(path), remedy="import it again"
            )
        return wallet

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{name!r} is not a name", where="name", remedy="use small letters, digits, - and _, at most 41"
            )
        return self._folder / f"{name}.json"

    def _write_new(self, path: Path, content: bytes) -> None:
        """Write whole or not at all, never over another key, never readable by others for a moment."""
        temporary = self._folder / f".{secrets.token_hex(8)}.tmp"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)
            flush_folders([self._folder])
        except FileExistsError:
            raise InputError(
                f"there is a key called {path.stem!r} already", where=str(path), remedy="choose another name"
            ) from None
        except OSError as error:
            raise storage_error(error, path) from error
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise IntegrityError("not a keyfile", where=str(path), remedy="remove it, or put the keyfile back")
    return content


def _address(keyfile: dict[str, Any], path: Path) -> str:
    address = keyfile.get("address")
    if not isinstance(address, str):
        raise IntegrityError("a keyfile without an address", where=str(path), remedy="import the key again")
    return f"0x{address.lower().removeprefix('0x')}"
