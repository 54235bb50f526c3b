"""Money without a trade, as the venue has recorded it, and as its documentation promises it."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from quant_organism.venue.client.flows import flows_in_order, read_fundings, read_ledger
from quant_organism.venue.client.transport import VenueUnreadable
from quant_organism_tests.venue.test_client_outcomes import captures, sdk

D = Decimal
US, OTHER = "0x" + "ab" * 20, "0x" + "cd" * 20
OWNER = "0xAf952a3543fea6B718f479E13E304F8f91440FCD"


def entry(kind: str, **said: Any) -> dict[str, Any]:
    """Return a row of the ledger."""
    return {"time": 7, "hash": "0x1", "delta": {"type": kind, **said}}


def test_the_recorded_ledger_moves_the_margin_accounts_by_what_did_not_stay_in_spot(shared_venue: Path) -> None:
    rows = captures(shared_venue, "11_userNonFundingLedgerUpdates.json")
    flows = read_ledger(rows, OWNER)
    assert len(flows) == len(rows)
    by_kind = {kind: sum(flow.usd for flow in flows if flow.kind == kind) for kind in {flow.kind for flow in flows}}
    assert by_kind == {
        "deposit": D("315.01"),
        "withdraw": D("-136"),  # with a dollar's fee each
        "accountClassTransfer": D("-10"),
        "vaultDeposit": D("-108"),
        "vaultWithdraw": D("4.980117"),
        "send": D("-5"),  # 8 came from spot, 8 and 5 went there; what goes from dex to dex stays
        "spotTransfer": D(0),
    }
    old = read_ledger(sdk(shared_venue, "test_user_non_funding_ledger_updates_without_end_time.json"), US)
    total = D("2703997.45") + D("1099994.98") - 12 - D("2684105.01")
    assert abs(sum(flow.usd for flow in old) - total) < D("1e-8")  # the venue wrote floats


def test_recorded_funding_of_both_regimes_is_read(shared_venue: Path) -> None:
    flows = read_fundings(captures(shared_venue, "10_userFunding.json"))
    assert (flows[0].time_ms, flows[0].coin, flows[0].usd) == (1776556800000, "ETH", D("-0.002982"))
    assert flows_in_order(flows + flows) == flows_in_order(flows)
    assert len(flows_in_order(flows)) == len(flows)
    assert read_fundings(sdk(shared_venue, "test_user_funding_history_with_end_time.json"))[0].usd == D("0.145796")


@pytest.mark.parametrize(
    ("row", "usd"),
    [
        (entry("internalTransfer", usdc="5.0", user=US, destination=OTHER, fee="1.0"), "-6"),
        (entry("internalTransfer", usdc="5.0", user=OTHER, destination=US, fee="1.0"), "5"),
        (entry("subAccountTransfer", usdc="5.0", user=US, destination=OTHER), "-5"),
        (entry("subAccountTransfer", usdc="5.0", user=OTHER, destination=US.upper().replace("0X", "0x")), "5"),
        (entry("vaultDeposit", vault=US, usdc="5.0"), "5"),
        (entry("vaultWithdraw", vault=US, user=OTHER, requestedUsd="5.0", netWithdrawnUsd="4.9"), "-4.9"),
        (entry("vaultDistribution", vault=OTHER, usdc="2.5"), "2.5"),
        (entry("liquidation", accountValue="12.5", leverageType="Cross", liquidatedPositions=[]), "-12.5"),
        (entry("somethingNew", amount="1.0"), "0"),
    ],
)
def test_an_entry_brings_or_costs_what_it_says(row: dict[str, Any], usd: str) -> None:
    (flow,) = read_ledger([row], US)
    assert (flow.usd, flow.kind) == (D(usd), row["delta"]["type"])


def sent(user: str, source: str, destination: str, target: str, token: str = "USDC") -> dict[str, Any]:
    """Return the entry of 5 of a token sent from a place of an account to one of another's, for a fee of one."""
    places = {"sourceDex": source, "destinationDex": target}
    return entry("send", user=user, destination=destination, token=token, amount="5.0", fee="1.0", **places)


@pytest.mark.parametrize(
    ("row", "plain", "unified"),
    [
        (sent(US, "spot", US, ""), "5", "-1"),
        (sent(US, "spot", OTHER, "spot"), "0", "-6"),
        (sent(OTHER, "", US, "spot"), "0", "5"),
        (sent(OTHER, "", US, "spot", "HYPE"), "0", "0"),
        (entry("spotTransfer", user=OTHER, destination=US, token="USDC", amount="5.0", fee="0.0"), "0", "5"),
        (entry("spotTransfer", user=US, destination=OTHER, token="PURR", amount="5.0", fee="0.0"), "0", "0"),
        (entry("accountClassTransfer", usdc="5.0", toPerp=True), "5", "0"),
        (entry("deposit", usdc="5.0"), "5", "5"),
    ],
)
def test_usdc_of_a_unified_account_is_its_money_wherever_it_lies(row: dict[str, Any], plain: str, unified: str) -> None:
    assert [flow.usd for flow in read_ledger([row], US)] == [D(plain)]
    assert [flow.usd for flow in read_ledger([row], US, is_unified=True)] == [D(unified)]


def test_two_entries_of_one_moment_are_two() -> None:
    rows = [entry("deposit", usdc="5.0"), entry("deposit", usdc="6.0"), entry("deposit", usdc="5.0")]
    assert [flow.usd for flow in flows_in_order(read_ledger(rows, US))] == [5, 6]


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "much", None, [], {}])
def test_an_amount_that_is_none_makes_the_answer_unreadable(bad: Any) -> None:
    with pytest.raises(VenueUnreadable):
        read_ledger([entry("deposit", usdc=bad)], US)
    with pytest.raises(VenueUnreadable):
        read_fundings([{"time": 7, "hash": "0x0", "delta": {"coin": "ETH", "usdc": bad}}])
