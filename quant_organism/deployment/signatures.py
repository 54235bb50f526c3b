"""Signatures of documents: who holds a key says which strategies may send orders, and whoever changes one is found out.

A checksum tells that a file is what was written; a signature tells who stood for it. Signed is all of a document but
its performance, which grows by itself each night. A signature lies beside the documents, so that none is changed by it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from quant_organism.errors import InputError
from quant_organism.resilience import storage_error, write_file

if TYPE_CHECKING:
    from quant_organism.deployment.config import StrategyConfig

_KEY: Final = re.compile(r"[0-9a-f]{64}")
_SIGNATURE: Final = re.compile(rb"[0-9a-f]{128}\n?")
_CONTEXT: Final = b"quant-organism strategy document\n"
"""Stands before what is signed, so that no signature of anything else is one of a document."""


class DocumentSignatures:
    """Signatures of the documents of a repository, checked with a public key.

    Parameters
    ----------
    root
        Folder of the documents; signatures are in `signatures/`, one file for each id.
    public_key
        Of Ed25519, 64 hexadecimal digits.

    Raises
    ------
    InputError
        Not such a key.
    """

    def __init__(self, root: Path, public_key: str) -> None:
        self._folder = root / "signatures"
        self._public = Ed25519PublicKey.from_public_bytes(_bytes_of(public_key, "public"))

    def refusal(self, document: StrategyConfig) -> str:
        """Return why a document may not send orders; empty where its signature holds.

        Raises
        ------
        StorageError
            Its signature cannot be read.
        """
        path = self._folder / f"{document.id}.sig"
        try:
            signature = path.read_bytes()
        except FileNotFoundError:
            return f"{document.id} is not signed"
        except OSError as error:
            raise storage_error(error, path) from error
        if not _SIGNATURE.fullmatch(signature):
            return f"{document.id}: {path} is no signature"
        try:
            self._public.verify(bytes.fromhex(signature.decode()), _signed_part(document))
        except InvalidSignature:
            return f"{document.id} was changed after it was signed, or somebody else signed it"
        return ""


class DocumentSigner:
    """Signs the documents of a repository.

    Parameters
    ----------
    root
        As of `DocumentSignatures`.
    private_key
        Of Ed25519, 64 hexadecimal digits.

    Raises
    ------
    InputError
        Not such a key; the message does not hold it.
    """

    def __init__(self, root: Path, private_key: str) -> None:
        self._folder = root / "signatures"
        self._private = Ed25519PrivateKey.from_private_bytes(_bytes_of(private_key, "private"))

    @property
    def public_key(self) -> str:
        """What signatures are checked with."""
        return self._private.public_key().public_bytes_raw().hex()

    def signature(self, document: StrategyConfig) -> tuple[Path, bytes]:
        """Return the file of a document's signature, and what is to be in it."""
        return self._folder / f"{document.id}.sig", self._private.sign(_signed_part(document)).hex().encode() + b"\n"

    def stands_for(self, document: StrategyConfig) -> bool:
        """Say whether a document is as it was when this key signed it.

        Raises
        ------
        StorageError
            Its signature cannot be read.
        """
        return not DocumentSignatures(self._folder.parent, self.public_key).refusal(document)

    def sign(self, document: StrategyConfig) -> Path:
        """Stand for a document as it is now, and return the file of its signature.

        Raises
        ------
        StorageError
            The folder cannot be written.
        """
        path, signature = self.signature(document)
        write_file(path, signature)
        return path


def _signed_part(document: StrategyConfig) -> bytes:
    return _CONTEXT + document.lasting_form()


def _bytes_of(key: str, kind: str) -> bytes:
    text = key.strip().lower()
    if not _KEY.fullmatch(text):
        raise InputError(
            f"that is no {kind} key to sign documents with",
            where=f"setting signing.{kind}_key",
            remedy="give 64 hexadecimal digits",
        )
    return bytes.fromhex(text)
