"""Rehearsals at the venue of the settings: when one is configured, what forbids it, and one that is carried out. Keys
that documents are signed with as they are written."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from quant_organism.backtest import Costs
from quant_organism.deployment import DocumentSignatures, DocumentSigner
from quant_organism.errors import InputError
from quant_organism.orchestration.access import Signing, VenueRehearsals, keystore_folder
from quant_organism.orchestration.definitions import build_definitions
from quant_organism.settings import Settings
from quant_organism.simulator import RunningVenue, Tape
from quant_organism.trading.policy import Policy
from quant_organism.trading.policy_store import FilePolicyStore, policy_folder
from quant_organism.trading.sending import journal_path
from quant_organism.validation import NotRun, VenueRehearsal
from quant_organism.venue import Keystore
from quant_organism.venue.protocol.decimals import MICRO_USD
from quant_organism_tests.deployment.documents import document
from quant_organism_tests.simulator.conftest import make_server, small_tape
from quant_organism_tests.tiny import settings as tiny_settings
from quant_organism_tests.trading.trader import ADDRESS, KEY

__all__ = ["small_tape"]

WANTED = [{"BTC": 0.1, "ETH": -0.05}]


@pytest.fixture
def running(small_tape: Tape) -> Iterator[RunningVenue]:
    """Serve a venue at which an account has 10,000 USD."""
    server = make_server(small_tape)
    server.engine.deposit(ADDRESS, 10_000 * MICRO_USD)
    with RunningVenue(server) as venue:
        yield venue


def rehearsals(folder: Path, venue: RunningVenue, **said: Any) -> VenueRehearsals:
    """Return those of settings that name the account at the venue, in the venue's time."""
    named: Mapping[str, Any] = {
        "base_url": venue.url,
        "account_address": ADDRESS,
        "private_key": KEY,
        "visibility_seconds": 1.0,
        "rehearsal_minutes": 2.0,
        "ip_burst_weight": 1_150,  # what it asks in two minutes of the venue is asked within seconds
        **said,
    }
    engine = venue.server.engine
    return VenueRehearsals(
        Settings.model_validate({"data_dir": folder, "venue": named}),
        now_ms=lambda: engine.now_ms,
        sleep=lambda seconds: venue.server.step(engine.now_ms + round(seconds * 1e3)),
    )


def allow(folder: Path) -> None:
    """Put a policy in force under which orders may go to a testnet."""
    store = FilePolicyStore(policy_folder(folder))
    store.put(Policy(allowed_venues=("testnet",)), author="test", reason="to rehearse", at_ms=0)


def test_a_candidates_orders_go_to_the_venue_of_the_settings(tmp_path: Path, running: RunningVenue) -> None:
    desk = rehearsals(tmp_path, running)
    assert desk.is_configured
    assert desk.closes == 1  # a minute for the decision, and one to close everything
    without_policy = desk(WANTED, Costs())
    assert isinstance(without_policy, NotRun)
    assert "no policy is in force" in without_policy.reason
    allow(tmp_path)
    found = desk(WANTED, Costs())
    assert isinstance(found, VenueRehearsal)
    assert (found.equal_share, found.gap_usd, found.network) == (1.0, 0.0, "simulator")
    assert found.orders == 4
    assert not [*running.server.engine.venue.state.accounts[ADDRESS].positions()]
    journal_path(tmp_path, "testnet").touch()
    assert desk(WANTED, Costs()) == NotRun(
        "the account is a trader's, whose books know of no other orders: name one of its own"
    )


def test_no_order_is_sent_where_nothing_or_real_money_is_configured(tmp_path: Path, running: RunningVenue) -> None:
    allow(tmp_path)
    assert not rehearsals(tmp_path, running, private_key=None).is_configured
    assert not rehearsals(tmp_path, running, account_address=None).is_configured
    found = rehearsals(tmp_path, running, network="mainnet", base_url=None)(WANTED, Costs())
    assert isinstance(found, NotRun)
    assert "main network" in found.reason
    silent = rehearsals(tmp_path, running, base_url="http://127.0.0.1:9", info_attempts=1)(WANTED, Costs())
    assert isinstance(silent, NotRun)


def test_the_asset_is_handed_the_venue_of_the_settings(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path, "venue": {"account_address": ADDRESS, "key": "agent"}})
    definitions = build_definitions(settings)
    desk = (definitions.resources or {})["rehearsals"]
    assert isinstance(desk, VenueRehearsals)
    assert (desk.is_configured, desk.closes) == (True, 29)
    key = dg.AssetKey("testnet_validation")
    assert "rehearsals" in definitions.resolve_assets_def(key).required_resource_keys


PUBLIC = DocumentSigner(Path(), "5e" * 32).public_key


def signing(folder: Path, said: Mapping[str, Any], **more: Any) -> Settings:
    """Return settings of a tiny market that say something of signing."""
    return Settings.model_validate({**tiny_settings(folder).model_dump(), "signing": said, **more})


def test_what_a_night_writes_is_signed_where_the_settings_have_a_key_which_dagster_never_shows(tmp_path: Path) -> None:
    chosen = signing(tmp_path, {"private_key": "5e" * 32, "public_key": PUBLIC})
    strategies = build_definitions(chosen).resources["strategies"]
    born = document()
    strategies.open().save(born)
    assert DocumentSignatures(tmp_path / "data" / "strategies", PUBLIC).refusal(born) == ""
    assert "5e5e" not in repr(strategies)
    assert "5e5e" not in str(strategies.model_dump())


def test_the_key_may_lie_in_the_keystore(tmp_path: Path) -> None:
    chosen = signing(tmp_path, {"key": "documents"}, venue={"passphrase": "long enough"})
    Keystore(keystore_folder(chosen), iterations=2).add("documents", "5e" * 32, "long enough")
    signer = Signing(chosen).signer()
    assert signer is not None
    assert signer.public_key == PUBLIC
    with pytest.raises(InputError, match="QUANT_ORGANISM_VENUE__PASSPHRASE"):
        Signing(signing(tmp_path, {"key": "documents"})).signer()


def test_without_a_key_nothing_is_signed_and_another_one_than_is_checked_with_is_refused(tmp_path: Path) -> None:
    assert Signing(signing(tmp_path, {"public_key": PUBLIC})).signer() is None
    with pytest.raises(InputError, match="checked with another one"):
        Signing(signing(tmp_path, {"private_key": "6f" * 32, "public_key": PUBLIC})).signer()
