"""What settings say of keys: a plan of access for the venue's rules to judge, rehearsals there, who signs documents."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from quant_organism.errors import BusyError, InputError, IntegrityError, QuantOrganismError
from quant_organism.settings import Settings

if TYPE_CHECKING:
    from quant_organism.backtest import Costs
    from quant_organism.deployment import DocumentSigner
    from quant_organism.validation import NotRun, VenueRehearsal
    from quant_organism.venue import AccessPlan


def keystore_folder(settings: Settings) -> Path:
    """Return where encrypted keys are kept."""
    return settings.data_dir / "keystore"


def access_plan(
    settings: Settings, named_network: str | None = None, *, passphrase: Callable[[], str] | None = None
) -> AccessPlan:
    """Return what settings and command line say of the venue, for the venue's own rules to judge.

    Parameters
    ----------
    settings
        Of venue and account.
    named_network
        As the command line names it.
    passphrase
        Asks for the keystore's passphrase; none: that of the settings, and nobody is asked.
    """
    from quant_organism.venue import AccessPlan, Limits

    venue = settings.venue
    return AccessPlan(
        network=venue.network,
        named_network=named_network,
        account_address=venue.account_address,
        confirm_mainnet=venue.confirm_mainnet,
        key=venue.key,
        private_key=None if venue.private_key is None else venue.private_key.get_secret_value,
        keystore=keystore_folder(settings),
        signers=settings.data_dir / "trader" / "signers",
        passphrase=passphrase or (lambda: _said_passphrase(settings)),
        base_url=venue.base_url,
        proxy=venue.proxy,
        connect_seconds=venue.connect_seconds,
        read_seconds=venue.read_seconds,
        action_seconds=venue.action_seconds,
        limits=Limits(
            ip_weight_per_minute=venue.ip_weight_per_minute,
            ip_burst_weight=venue.ip_burst_weight,
            info_attempts=venue.info_attempts,
            breaker_failures=venue.breaker_failures,
            breaker_seconds=venue.breaker_seconds,
        ),
    )


@dataclass(frozen=True)
class Signing:
    """Who stands for the documents that are written, by the settings.

    Parameters
    ----------
    settings
        Of signing, keystore and folder.
    """

    settings: Settings

    def signer(self) -> DocumentSigner | None:
        """Return what signs documents; None where the settings name no key.

        Raises
        ------
        InputError
            No such key, nothing opens it, or it is not the one that the settings have signatures checked with.
        IntegrityError
            The keystore's file of it cannot be used.
        """
        said = self.settings.signing
        if said.private_key is None and said.key is None:
            return None
        from quant_organism.deployment import DocumentSigner

        signer = DocumentSigner(self.settings.data_dir.resolve() / "strategies", self._private_key())
        if said.public_key and said.public_key.strip().lower() != signer.public_key:
            raise InputError(
                f"documents would be signed with the key of {signer.public_key}, and checked with another one",
                where="setting signing.public_key",
                remedy="name the private key that belongs to it, or correct the public one",
            )
        return signer

    def _private_key(self) -> str:
        said = self.settings.signing
        if said.private_key is not None:
            return said.private_key.get_secret_value()
        from quant_organism.venue import Keystore

        wallet = Keystore(keystore_folder(self.settings)).load(str(said.key), lambda: _said_passphrase(self.settings))
        return wallet.secret().removeprefix("0x")


@dataclass(frozen=True)
class VenueRehearsals:
    """Rehearsals of candidates at the venue of the settings, under the policy in force.

    Parameters
    ----------
    settings
        Of venue, account and folder.
    now_ms, sleep
        The venue's time (none: as its answers show it), and how to wait.
    """

    settings: Settings
    now_ms: Callable[[], int] | None = None
    sleep: Callable[[float], None] = time.sleep

    @property
    def is_configured(self) -> bool:
        """Whether the settings name an account at a venue and a wallet that signs for it."""
        venue = self.settings.venue
        return venue.account_address is not None and (venue.key is not None or venue.private_key is not None)

    @property
    def closes(self) -> int:
        """How many decisions there is time for: one a minute, and one to close everything."""
        return max(1, round(self.settings.venue.rehearsal_minutes) - 1)

    def __call__(self, wanted: Sequence[Mapping[str, float]], costs: Costs, /) -> VenueRehearsal | NotRun:
        """Carry a candidate's decisions out; a venue that cannot be used is a reason why nothing ran."""
        from quant_organism.validation import NotRun

        if self.settings.venue.network == "mainnet":
            return NotRun("the settings name the main network: orders are rehearsed where money is not real")
        try:
            return self._rehearse(wanted, costs)
        except (InputError, BusyError, IntegrityError) as error:
            return NotRun(str(error))
        except QuantOrganismError as error:
            return NotRun(f"cut short, and to be looked at: {error}")

    def _rehearse(self, wanted: Sequence[Mapping[str, float]], costs: Costs) -> VenueRehearsal | NotRun:
        from quant_organism.trading.policy_store import FilePolicyStore, policy_folder
        from quant_organism.trading.rehearsing import rehearse
        from quant_organism.trading.sending import check_policy, journal_path
        from quant_organism.validation import NotRun
        from quant_organism.venue import open_account

        said, folder = self.settings.venue, self.settings.data_dir
        check_policy(FilePolicyStore(policy_folder(folder)).current(), "testnet", time.time_ns() // 1_000_000)
        if journal_path(folder, "testnet").exists():
            return NotRun("the account is a trader's, whose books know of no other orders: name one of its own")
        venue = open_account(access_plan(self.settings))
        try:
            return rehearse(
                venue,
                folder / "trader" / "orders-rehearsal.sqlite",
                wanted,
                costs,
                network=said.network,
                visibility_seconds=said.visibility_seconds,
                now_ms=self.now_ms,
                sleep=self.sleep,
            )
        finally:
            venue.close()


def _said_passphrase(settings: Settings) -> str:
    said = settings.venue.passphrase
    if said is None:
        raise InputError(
            "the keystore's passphrase is not said, and nobody is there to be asked",
            where="venue.passphrase",
            remedy="set QUANT_ORGANISM_VENUE__PASSPHRASE where this runs",
        )
    return said.get_secret_value()
