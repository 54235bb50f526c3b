"""Money that moves without a trade ends where it should, and what is refused moves nothing."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_organism.market import MS_PER_DAY
from quant_organism.simulator.core import transfers
from quant_organism.simulator.core.account import Account
from quant_organism.simulator.core.settlement import total_money
from quant_organism.simulator.core.venue import SimulatedVenue
from quant_organism.venue.protocol import (
    MICRO_USD,
    SPOT,
    Action,
    CreateSubAccount,
    MoveUsd,
    SendAsset,
    SendSpot,
    SendUsd,
    SetAbstraction,
    SubAccountSpot,
    SubAccountUsd,
    VaultUsd,
    WithdrawUsd,
)
from quant_organism_tests.simulator.venues import (
    ALICE,
    BOB,
    CAROL,
    ETH,
    fund,
    make_venue,
    order,
    place,
    quotes,
    refusal,
    set_mark,
)

TOO_LITTLE = "Insufficient balance for token transfer."
TOO_LITTLE_TO_WITHDRAW = "Insufficient balance for withdrawal."
NEW, VAULT = "0x" + "ee" * 20, "0x" + "7a" * 20


@pytest.fixture
def venue() -> SimulatedVenue:
    return make_venue(deployed=True)


@pytest.fixture
def alice(venue: SimulatedVenue) -> Account:
    return fund(venue, usd=1_000)


def test_usd_goes_to_spot_and_back(venue: SimulatedVenue, alice: Account) -> None:
    assert refusal(venue, alice, MoveUsd(Decimal(300), False, None)) is None
    assert (alice.cross_raw[0], alice.spot) == (700 * MICRO_USD, {"USDC": 300 * MICRO_USD})
    assert refusal(venue, alice, MoveUsd(Decimal("300.000001"), True, None)) == TOO_LITTLE
    assert refusal(venue, alice, MoveUsd(Decimal(300), True, None)) is None
    assert (alice.cross_raw[0], alice.spot) == (1_000 * MICRO_USD, {"USDC": 0})
    assert [entry.delta["type"] for entry in alice.ledger] == ["deposit", *["accountClassTransfer"] * 2]
    alice.unify()
    assert refusal(venue, alice, MoveUsd(Decimal(1), False, None)) == "Action disabled when unified account is active"


def test_usdc_of_a_unified_account_lies_in_one_place(venue: SimulatedVenue, alice: Account) -> None:
    assert refusal(venue, alice, MoveUsd(Decimal(300), False, None)) is None
    assert refusal(venue, alice, SetAbstraction(alice.address, "unifiedAccount")) is None
    assert (alice.cross_raw[0], alice.spot) == (1_000 * MICRO_USD, {})
    quotes(venue, ETH, 1999, 2000)
    place(venue, alice, order(ETH, "buy", "0.5", 2000, "Ioc"))
    free = 1_000 * MICRO_USD - 450_000 - 100 * MICRO_USD
    assert refusal(venue, alice, SendSpot(BOB, "USDC", Decimal(free + 1).scaleb(-6), 1)) == TOO_LITTLE
    assert refusal(venue, alice, SendSpot(BOB, "USDC", Decimal(free).scaleb(-6), 1)) is None
    assert venue.state.accounts[BOB].spot == {"USDC": free}


def test_margin_in_use_is_not_sent(venue: SimulatedVenue, alice: Account) -> None:
    """Half an ether at 2000 holds 50 of 1000 at 20 times, and a tenth of its value stays in any case."""
    quotes(venue, ETH, 1999, 2000)
    place(venue, alice, order(ETH, "buy", "0.5", 2000, "Ioc"))
    free = 1_000 * MICRO_USD - 450_000 - 100 * MICRO_USD
    assert refusal(venue, alice, SendUsd(BOB, Decimal(free + 1).scaleb(-6))) == TOO_LITTLE
    assert refusal(venue, alice, SendUsd(BOB, Decimal(free).scaleb(-6))) is None
    assert venue.state.accounts[BOB].cross_raw[0] == free


def test_who_gets_money_exists_from_then_on_and_both_ledgers_say_so(venue: SimulatedVenue, alice: Account) -> None:
    assert refusal(venue, alice, SendUsd(NEW, Decimal(2_000))) == TOO_LITTLE
    assert NEW not in venue.state.accounts
    assert refusal(venue, alice, SendUsd(NEW, Decimal(20))) is None
    assert refusal(venue, alice, SendAsset(ALICE, "", SPOT, "USDC", Decimal(100), 1)) is None
    assert refusal(venue, alice, SendSpot(NEW, "USDC", Decimal(30), 2)) is None
    new = venue.state.accounts[NEW]
    assert (new.cross_raw[0], new.spot) == (20 * MICRO_USD, {"USDC": 30 * MICRO_USD})
    assert [entry.delta["type"] for entry in new.ledger] == ["internalTransfer", "spotTransfer"]
    assert alice.ledger[-1].delta["destination"] == NEW
    assert total_money(venue.core) == 0


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (SendSpot(BOB, "GOLDCOIN", Decimal(1), 1), "Unknown token."),
        (SendSpot(BOB, "USDH", Decimal("0.000001"), 1), TOO_LITTLE),
        (SendAsset(BOB, SPOT, "moon", "USDC", Decimal(1), 1), "Unknown perp dex."),
        (SendAsset(BOB, "", "abc", "USDC", Decimal(1), 1), "Token is not the collateral of the perp dex."),
        (SendUsd(BOB, Decimal("0.0000001")), TOO_LITTLE),
        (SendUsd(BOB, Decimal(-5)), TOO_LITTLE),
        (WithdrawUsd(BOB, Decimal(1), 1), TOO_LITTLE_TO_WITHDRAW),
        (SubAccountUsd(BOB, True, MICRO_USD), "Sub-account does not exist."),
        (VaultUsd(BOB, True, MICRO_USD), "Vault does not exist."),
        (
            CreateSubAccount("grid"),
            "Cannot create sub-accounts until enough volume traded. Required: $100000. Traded: $0.00.",
        ),
    ],
)
def test_what_is_refused_moves_nothing(venue: SimulatedVenue, alice: Account, action: Action, text: str) -> None:
    assert refusal(venue, alice, action) == text
    assert (alice.cross_raw, alice.spot, len(alice.ledger)) == ({0: 1_000 * MICRO_USD}, {}, 1)


def test_a_withdrawal_costs_a_dollar(venue: SimulatedVenue, alice: Account) -> None:
    assert refusal(venue, alice, WithdrawUsd(ALICE, Decimal(100), 5)) is None
    assert alice.cross_raw[0] == 900 * MICRO_USD
    assert alice.ledger[-1].delta == {"type": "withdraw", "usdc": "99.0", "nonce": 5, "fee": "1.0"}
    assert venue.state.bridge["USDC"] == -900 * MICRO_USD


def test_sub_accounts(venue: SimulatedVenue, alice: Account) -> None:
    alice.volume = 100_000 * MICRO_USD
    made = [venue.act(alice, CreateSubAccount(f"grid {number}")) for number in range(11)]
    assert [answer["status"] for answer in made] == ["ok"] * 10 + ["err"]
    sub = venue.state.accounts[made[0]["response"]["data"]]
    assert (sub.master, sub.name) == (ALICE, "grid 0")
    assert refusal(venue, alice, SubAccountUsd(sub.address, True, 50 * MICRO_USD)) is None
    assert refusal(venue, alice, SubAccountUsd(sub.address, False, 20 * MICRO_USD)) is None
    assert refusal(venue, sub, MoveUsd(Decimal(10), False, None)) is None
    assert refusal(venue, alice, SubAccountSpot(sub.address, False, "USDC", Decimal(4))) is None
    assert (sub.cross_raw[0], sub.spot["USDC"], alice.spot["USDC"]) == (20_000_000, 6_000_000, 4_000_000)
    stranger = fund(venue, BOB)
    assert refusal(venue, stranger, SubAccountUsd(sub.address, False, 1)) == "Sub-account does not exist."


class TestVaults:
    @pytest.fixture
    def vault(self, venue: SimulatedVenue) -> Account:
        found = fund(venue, VAULT, 0)
        found.master, found.shares = CAROL, {}
        return found

    def test_what_it_gains_belongs_to_those_who_paid_in(
        self, venue: SimulatedVenue, alice: Account, vault: Account
    ) -> None:
        """An ether that rises by 200 while Alice has three quarters of the vault brings her 150, less the fee."""
        bob = fund(venue, BOB, 1_000)
        for account, usd in ((alice, 900), (bob, 300)):
            assert refusal(venue, account, VaultUsd(VAULT, True, usd * MICRO_USD)) is None
        quotes(venue, ETH, 1999, 2000)
        place(venue, vault, order(ETH, "buy", 1, 2000, "Ioc"))
        set_mark(venue, ETH, 2200)
        fee = 900_000
        assert transfers.share_of(venue.core, vault, ALICE) == (1_400 * MICRO_USD - fee) * 3 // 4
        assert refusal(venue, alice, VaultUsd(VAULT, False, MICRO_USD)) == "Vault deposit is still locked up."
        venue.pass_time(venue.state.now_ms + MS_PER_DAY)
        assert refusal(venue, alice, VaultUsd(VAULT, False, 1_050 * MICRO_USD)) == TOO_LITTLE_TO_WITHDRAW
        assert refusal(venue, alice, VaultUsd(VAULT, False, 1_000 * MICRO_USD)) is None
        assert alice.cross_raw[0] == 1_100 * MICRO_USD
        assert transfers.share_of(venue.core, vault, BOB) == pytest.approx((1_400 * MICRO_USD - fee) // 4, abs=1)
        busy = VaultUsd(VAULT, False, 300 * MICRO_USD)
        assert refusal(venue, bob, busy) == "Vault cannot pay that much while its positions are open."

    @given(
        moves=st.lists(
            st.tuples(st.sampled_from([ALICE, BOB]), st.booleans(), st.integers(1, 10**9)), min_size=1, max_size=12
        ),
        gain=st.integers(-(10**8), 10**8),
    )
    def test_rounding_never_brings_more_than_was_there(self, moves: list[tuple[str, bool, int]], gain: int) -> None:
        venue = make_venue()
        vault = fund(venue, VAULT, 0)
        vault.shares = {}
        accounts = {address: fund(venue, address, 10_000) for address in (ALICE, BOB)}
        for number, (address, is_in, micro_usd) in enumerate(moves):
            before = {other: transfers.share_of(venue.core, vault, other) for other in (ALICE, BOB)}
            venue.act(accounts[address], VaultUsd(VAULT, is_in, micro_usd))
            for other in {ALICE, BOB} - {address}:
                assert transfers.share_of(venue.core, vault, other) >= before[other] - 1
            if number == 0 and sum(vault.shares.values()):
                venue.deposit(VAULT, max(gain, -transfers.vault_equity(venue.core, vault)))
            venue.pass_time(venue.state.now_ms + MS_PER_DAY)
        assert sum(transfers.share_of(venue.core, vault, other) for other in (ALICE, BOB)) <= max(
            0, transfers.vault_equity(venue.core, vault)
        )
        assert total_money(venue.core) == 0


@pytest.mark.parametrize(("micro_usd", "made"), [(10**11 - 1, 0), (10**11, 1)])
def test_sub_accounts_take_a_hundred_thousand_dollars_of_volume(
    venue: SimulatedVenue, alice: Account, micro_usd: int, made: int
) -> None:
    alice.volume = micro_usd
    venue.act(alice, CreateSubAccount("desk"))
    assert sum(account.master == alice.address for account in venue.state.accounts.values()) == made
