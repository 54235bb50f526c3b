"""A small venue to trade on, and orders in plain numbers."""

from decimal import Decimal
from typing import Any

from quant_organism.simulator.core.account import Account, SimulatedPosition
from quant_organism.simulator.core.state import Dex, Listing, VenueState
from quant_organism.simulator.core.venue import SimulatedVenue
from quant_organism.venue.protocol import MICRO_USD, Action, Instrument, Tif, Tpsl, single_tier, tiers_of, wire

NOW = 1_800_000_000_000
ETH, BTC, DOGE = 0, 1, 2
GOLD, OIL, CARBON = 110_000, 110_001, 120_000
"""On builder-deployed dexs: two on `xyz`, which keeps USDC and takes double fees, one on `abc`, which keeps USDH."""
ALICE, BOB, CAROL = "0x" + "a1" * 20, "0x" + "b0" * 20, "0x" + "ca" * 20


def make_venue(*, deployed: bool = False, **settings: Any) -> SimulatedVenue:
    """Return a venue with ETH at 2000, BTC at 100000 and DOGE at 0.2, and no accounts.

    With `deployed` also GOLD at 3000 (isolated margin only), OIL at 60 and CARBON at 8 on builder-deployed dexs.
    """
    listings = {
        ETH: Listing(Instrument("ETH", 4, single_tier(50)), mark=200_000, oracle=200_000),
        BTC: Listing(
            Instrument("BTC", 5, tiers_of([(0, 40), (150_000_000, 20)]), margin_table_id=56),
            mark=1_000_000,
            oracle=1_000_000,
        ),
        DOGE: Listing(Instrument("DOGE", 0, single_tier(10)), mark=200_000, oracle=200_000),
    }
    if deployed:
        gold = Instrument("xyz:GOLD", 3, single_tier(20), only_isolated=True)
        listings |= {
            GOLD: Listing(gold, mark=3_000_000, oracle=3_000_000),
            OIL: Listing(Instrument("xyz:OIL", 2, single_tier(10)), mark=600_000, oracle=600_000),
            CARBON: Listing(Instrument("abc:CARBON", 1, single_tier(5)), mark=800_000, oracle=800_000),
        }
        settings["dexs"] = [Dex(), Dex("xyz", fee_percent=200), Dex("abc", "USDH", fee_percent=20)]
    return SimulatedVenue(VenueState(listings=listings, seed=1, now_ms=NOW, **settings))


def fund(venue: SimulatedVenue, address: str = ALICE, usd: int = 100_000, dex: int = 0) -> Account:
    """Deposit some USD, or what is worth one on a dex."""
    return venue.deposit(address, usd * MICRO_USD, dex)


def order(
    asset: int,
    side: str,
    sz: object,
    px: object,
    tif: Tif | None = "Gtc",
    *,
    reduce_only: bool = False,
    trigger: tuple[object, Tpsl] | None = None,
    is_market: bool = True,
    cloid: str | None = None,
) -> wire.OrderRequest:
    """Return an order request; `side` is buy or sell."""
    return wire.OrderRequest(
        asset=asset,
        is_buy=side == "buy",
        px=Decimal(str(px)),
        sz=Decimal(str(sz)),
        reduce_only=reduce_only,
        tif=None if trigger else tif,
        trigger=None if trigger is None else wire.TriggerRequest(Decimal(str(trigger[0])), is_market, trigger[1]),
        cloid=cloid,
    )


def place(
    venue: SimulatedVenue, account: Account, *orders: wire.OrderRequest, grouping: wire.Grouping = "na"
) -> list[Any]:
    """Place orders in one action; return their statuses."""
    answer = venue.act(account, wire.PlaceOrders(orders, grouping))
    statuses: list[Any] = answer["response"]["data"]["statuses"]
    return statuses


def resting(status: Any) -> int:
    """Return the number of an order that rests."""
    return int(status["resting"]["oid"])


def quotes(venue: SimulatedVenue, asset: int, bid: object, ask: object, sz: object = 100) -> None:
    """Let the market quote both sides."""
    instrument = venue.state.listings[asset].instrument
    size = int(Decimal(str(sz)).scaleb(instrument.sz_decimals))
    for px, is_buy in ((bid, True), (ask, False)):
        venue.quote(asset, int(Decimal(str(px)).scaleb(instrument.px_decimals)), size, is_buy=is_buy)


def set_mark(venue: SimulatedVenue, asset: int, px: object, after_ms: int = 3_000) -> None:
    """Let time pass, then mark and oracle be a price."""
    units = int(Decimal(str(px)).scaleb(venue.state.listings[asset].instrument.px_decimals))
    venue.pass_time(venue.state.now_ms + after_ms)
    venue.set_prices({asset: (units, units)})


def refusal(venue: SimulatedVenue, account: Account, action: Action) -> str | None:
    """Return why an action is refused, or None where it is done."""
    answer = venue.act(account, action)
    return None if answer["status"] == "ok" else str(answer["response"])


def held(
    venue: SimulatedVenue, address: str, szi: int, equity: int, *, is_cross: bool = True, leverage: int = 20
) -> Account:
    """Have an account with a position in ETH, and so many micro-USD of equity behind it; isolated ones have no more."""
    account = fund(venue, address, 0)
    worth = szi * venue.state.listings[ETH].mark
    account.holdings[ETH] = SimulatedPosition(leverage, is_cross=is_cross, szi=szi, cost=abs(worth))
    if is_cross:
        account.cross_raw[0] = equity - worth
    else:
        account.holdings[ETH].raw = equity - worth
    return account
