"""Agents, transfers, vaults and open interest exactly on each level and one step beside it."""

from decimal import Decimal
from typing import Any

import pytest

from quant_organism.market import MS_PER_DAY
from quant_organism.simulator.core import settlement, standing, transfers
from quant_organism.simulator.core.account import Agent
from quant_organism.simulator.core.venue import SimulatedVenue
from quant_organism.venue.protocol import (
    MICRO_USD,
    SPOT,
    ApproveAgent,
    ConvertToMultiSig,
    CreateSubAccount,
    SendAsset,
    SendUsd,
    SubAccountUsd,
    VaultUsd,
    WithdrawUsd,
    texts,
)
from quant_organism_tests.simulator.venues import (
    ALICE,
    BOB,
    CAROL,
    ETH,
    fund,
    held,
    make_venue,
    refusal,
)

USD = MICRO_USD
SIDES = pytest.mark.parametrize("side", [1, -1])
MODES = pytest.mark.parametrize("is_cross", [True, False])


@pytest.fixture
def venue() -> SimulatedVenue:
    return make_venue()


class TestStanding:
    @pytest.mark.parametrize(
        ("ahead_ms", "text"),
        [
            (0, texts.AGENT_EXPIRY),
            (1, None),
            (180 * MS_PER_DAY, None),
            (180 * MS_PER_DAY + 1, texts.AGENT_EXPIRY),
            (None, None),
        ],
    )
    def test_an_agent_is_for_180_days_at_most(
        self, venue: SimulatedVenue, ahead_ms: int | None, text: str | None
    ) -> None:
        account, now = fund(venue), venue.state.now_ms
        until = None if ahead_ms is None else now + ahead_ms
        assert refusal(venue, account, ApproveAgent(CAROL, "bot", until)) == text
        expected = now + (180 * MS_PER_DAY if ahead_ms is None else ahead_ms)
        assert account.agents == ([] if text else [Agent("bot", CAROL, expected)])

    def test_an_agent_acts_until_its_time_and_leaves_room_then(self, venue: SimulatedVenue) -> None:
        account, until = fund(venue), venue.state.now_ms + 10
        agents = ["0x" + f"{number:040x}" for number in range(4)]
        for number in range(3):
            assert refusal(venue, account, ApproveAgent(agents[number], f"bot {number}", until)) is None
        venue.pass_time(until - 1)
        assert standing.agent_of(venue.core, agents[0]) == (account, account.agents[0])
        assert standing.agent_of(venue.core, agents[3]) is None
        fourth = ApproveAgent(agents[3], "bot 3")
        assert refusal(venue, account, fourth) == texts.AGENTS_USED_UP
        assert refusal(venue, account, ApproveAgent(BOB, None)) is None
        venue.pass_time(until)
        assert standing.agent_of(venue.core, agents[0]) is None
        assert refusal(venue, account, fourth) is None

    @pytest.mark.parametrize(("sub_accounts", "named"), [(0, 3), (1, 5), (2, 7)])
    def test_each_sub_account_brings_two_more_names(self, venue: SimulatedVenue, sub_accounts: int, named: int) -> None:
        account = fund(venue)
        for number in range(sub_accounts):
            fund(venue, "0x" + f"{100 + number:040x}").master = account.address
        for number in range(named):
            assert refusal(venue, account, ApproveAgent("0x" + f"{number:040x}", f"bot {number}")) is None
        assert refusal(venue, account, ApproveAgent(CAROL, "one more")) == texts.AGENTS_USED_UP
        assert refusal(venue, account, ApproveAgent(CAROL, "bot 0")) is None  # in the place of another

    def test_a_wallet_acts_for_one_account_under_one_name(self, venue: SimulatedVenue) -> None:
        account, other = fund(venue), fund(venue, BOB)
        assert refusal(venue, account, ApproveAgent(CAROL, "bot")) is None
        assert refusal(venue, account, ApproveAgent(CAROL, "bot")) is None
        assert refusal(venue, account, ApproveAgent(CAROL, "another")) == texts.AGENT_USED
        assert refusal(venue, account, ApproveAgent(CAROL, None)) == texts.AGENT_USED
        assert refusal(venue, other, ApproveAgent(CAROL, "bot")) == texts.AGENT_USED
        assert refusal(venue, other, ApproveAgent(ALICE, "bot")) == texts.AGENT_USED
        assert len(account.agents) == 1

    def test_all_that_are_there_may_sign_and_nobody_else(self, venue: SimulatedVenue) -> None:
        account = fund(venue)
        everybody = tuple(venue.state.accounts)
        assert refusal(venue, account, ConvertToMultiSig((*everybody, CAROL), 1)) == texts.SIGNERS_UNKNOWN
        assert (account.signers, account.threshold) == ((), 0)
        assert refusal(venue, account, ConvertToMultiSig(everybody, 1)) is None
        assert (account.signers, account.threshold) == (everybody, 1)


class TestMoney:
    @pytest.mark.parametrize(
        ("usd", "delta"),
        [
            (1, {"type": "deposit", "usdc": "1.0"}),
            (0, {"type": "deposit", "usdc": "0.0"}),
            (-1, {"type": "withdraw", "usdc": "1.0", "nonce": 1_800_000_000_000, "fee": "0.0"}),
        ],
    )
    def test_what_comes_in_is_a_deposit_and_what_goes_out_none(
        self, venue: SimulatedVenue, usd: int, delta: dict[str, Any]
    ) -> None:
        assert fund(venue, usd=usd).ledger[0].delta == delta

    @pytest.mark.parametrize(
        ("micro_usd", "text"),
        [
            (USD, texts.INSUFFICIENT_WITHDRAWAL),
            (USD + 1, None),
            (10 * USD, None),
            (10 * USD + 1, texts.INSUFFICIENT_WITHDRAWAL),
        ],
    )
    def test_more_than_the_fee_and_no_more_than_there_is_may_be_withdrawn(
        self, venue: SimulatedVenue, micro_usd: int, text: str | None
    ) -> None:
        account = fund(venue, usd=10)
        assert refusal(venue, account, WithdrawUsd(ALICE, Decimal(micro_usd).scaleb(-6), 1)) == text
        assert account.cross_raw[0] == 10 * USD - (0 if text else micro_usd)

    @pytest.mark.parametrize("micro_usd", [1, 10 * USD])
    def test_a_millionth_may_be_sent_and_all_that_there_is(self, venue: SimulatedVenue, micro_usd: int) -> None:
        account = fund(venue, usd=10)
        assert refusal(venue, account, SendUsd(BOB, Decimal(micro_usd).scaleb(-6))) is None
        assert (account.cross_raw[0], venue.state.accounts[BOB].cross_raw[0]) == (10 * USD - micro_usd, micro_usd)

    @pytest.mark.parametrize("places", [("", SPOT), (SPOT, "")])
    def test_money_goes_between_all_the_places_that_there_are(
        self, venue: SimulatedVenue, places: tuple[str, str]
    ) -> None:
        account = fund(venue, usd=10)
        account.add_spot("USDC", 10 * USD)
        assert refusal(venue, account, SendAsset(ALICE, *places, "USDC", Decimal(10), 1)) is None
        assert sorted([account.cross_raw[0], account.spot["USDC"]]) == [0, 20 * USD]

    def test_a_vault_of_ones_own_is_no_sub_account(self, venue: SimulatedVenue) -> None:
        account, vault = fund(venue), fund(venue, CAROL, 0)
        vault.master, vault.shares = ALICE, {}
        assert refusal(venue, account, SubAccountUsd(CAROL, True, 1)) == texts.NO_SUB_ACCOUNT
        account.volume = 10**11
        made = [venue.act(account, CreateSubAccount(str(number)))["status"] for number in range(11)]
        assert made == ["ok"] * 10 + ["err"]

    @pytest.mark.parametrize("is_deposit", [True, False])
    def test_an_account_that_is_no_vault_is_none(self, venue: SimulatedVenue, is_deposit: bool) -> None:
        account = fund(venue)
        fund(venue, BOB).shares = None
        for address in (BOB, CAROL):
            assert refusal(venue, account, VaultUsd(address, is_deposit, 1)) == texts.NO_VAULT

    @pytest.mark.parametrize(("equity", "text"), [(1, None), (0, texts.INSUFFICIENT), (-1, texts.INSUFFICIENT)])
    def test_nobody_pays_into_a_vault_that_has_lost_all(
        self, venue: SimulatedVenue, equity: int, text: str | None
    ) -> None:
        account, vault = fund(venue, usd=10), fund(venue, CAROL, 0)
        vault.shares, vault.cross_raw[0] = {BOB: 5}, equity
        assert refusal(venue, account, VaultUsd(CAROL, True, 2)) == text
        assert vault.shares == {BOB: 5} | ({} if text else {ALICE: 10})
        vault.shares, vault.cross_raw[0] = {}, 0
        assert refusal(venue, account, VaultUsd(CAROL, True, 2)) is None
        assert vault.shares == {ALICE: 2_000_000}
        assert vault.locked_until_ms[ALICE] == venue.state.now_ms + MS_PER_DAY

    @pytest.mark.parametrize(
        ("micro_usd", "early_ms", "text"),
        [
            (50, 0, None),
            (51, 0, texts.INSUFFICIENT_WITHDRAWAL),
            (50, 1, texts.VAULT_LOCKED),
        ],
    )
    def test_ones_share_may_be_taken_out_of_a_vault_once_it_is_free(
        self, venue: SimulatedVenue, micro_usd: int, early_ms: int, text: str | None
    ) -> None:
        account, vault = fund(venue, usd=0), fund(venue, CAROL, 0)
        vault.shares, vault.cross_raw[0] = {ALICE: 1_000, BOB: 1_000}, 100
        vault.locked_until_ms[ALICE] = venue.state.now_ms + early_ms
        assert refusal(venue, account, VaultUsd(CAROL, False, micro_usd)) == text
        assert vault.shares[ALICE] == (1_000 if text else 0)

    @pytest.mark.parametrize(("micro_usd", "text"), [(800 * USD, None), (800 * USD + 1, texts.VAULT_BUSY)])
    def test_a_vault_pays_what_its_positions_leave_free(
        self, venue: SimulatedVenue, micro_usd: int, text: str | None
    ) -> None:
        account = fund(venue, usd=0)
        vault = held(venue, CAROL, 10_000, 1_000 * USD)
        vault.shares = {ALICE: 1_000}
        assert refusal(venue, account, VaultUsd(CAROL, False, micro_usd)) == text
        assert vault.shares == {ALICE: 1_000 if text else 200}

    def test_a_share_of_nothing_is_nothing(self, venue: SimulatedVenue) -> None:
        vault = fund(venue, CAROL, 0)
        assert transfers.share_of(venue.core, vault, ALICE) == 0
        vault.shares, vault.cross_raw[0] = {ALICE: 3, BOB: 1}, -1
        assert transfers.share_of(venue.core, vault, ALICE) == 0
        vault.cross_raw[0] = 10
        assert [transfers.share_of(venue.core, vault, who) for who in (ALICE, BOB, CAROL)] == [7, 2, 0]

    @SIDES
    def test_what_a_vault_is_worth_is_all_that_is_in_it(self, venue: SimulatedVenue, side: int) -> None:
        vault = held(venue, CAROL, 10_000 * side, 30, is_cross=False)
        vault.cross_raw[0] = 4
        assert transfers.vault_equity(venue.core, vault) == 34

    def test_open_interest_is_what_longs_hold_the_market_included(self, venue: SimulatedVenue) -> None:
        held(venue, ALICE, 30, 0), held(venue, BOB, -31, 0)
        fund(venue, CAROL)
        venue.state.listings[ETH].market_szi = 1
        assert settlement.open_interest(venue.core, ETH) == 31
        assert settlement.total_size(venue.core, ETH) == 0
