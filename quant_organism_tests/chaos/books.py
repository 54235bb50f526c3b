"""What must hold whenever nothing is in doubt: the journal is the venue, order by order and fill by fill."""

import json
from collections import Counter
from decimal import Decimal

from quant_organism.simulator import Account, SimulatedOrder, SimulatedVenue
from quant_organism.trading.orders import OrderManager
from quant_organism.venue.protocol import is_perpetual_name


def check_journal_is_venue(manager: OrderManager, venue: SimulatedVenue, account: Account) -> None:
    """Assert that no order is doubled, lost or orphaned, and that every fill of a perpetual is there once.

    An order without a client id is the venue's own: a liquidation.
    """
    records = {record.order.cloid: record for record in manager.journal.orders()}
    amendments = _amendments(manager)
    there: dict[str, list[SimulatedOrder]] = {cloid: [] for cloid in records}
    for order in list(venue.state.orders.values()):
        if order.account == account.address and order.cloid is not None:
            assert order.cloid in records, f"an order of which the journal knows nothing: {order}"
            there[order.cloid].append(order)
            if order.status == "open":
                state = records[order.cloid].state
                assert state in ("open", "waiting"), f"an orphan: {order} is {state} in the journal"
    for cloid, record in records.items():
        living = [order for order in there[cloid] if order.status in ("open", "filled")]
        assert len(living) <= 1, f"an order was placed twice: {living}"
        assert len(there[cloid]) <= 1 + amendments[cloid], f"an order was sent again: {there[cloid]}"
        if record.state in ("open", "waiting", "filled"):
            assert len(living) == 1, f"the journal has {record}, the venue {there[cloid]}"
    ours = Counter((fill.tid, fill.oid) for fill in manager.journal.fills() if is_perpetual_name(fill.coin))
    theirs = Counter((fill.tid, fill.oid) for fill in account.fills)
    assert ours == theirs, f"fills lost: {theirs - ours}, too many: {ours - theirs}"
    listings = venue.state.listings
    held = {listings[a].instrument.name: Decimal(listings[a].sz(held.szi)) for a, held in account.positions()}
    assert manager.journal.positions() == dict(sorted(held.items()))


def _amendments(manager: OrderManager) -> Counter[str]:
    """Return how often each order was, or may have been, amended; some by a journal that was lost."""
    rows = manager.journal._store.read("SELECT cloids FROM actions WHERE kind = 'amend'")
    ours = Counter(cloid for row in rows for cloid in json.loads(row["cloids"]))
    cloids = [record.order.cloid for record in manager.journal.orders()]
    return ours | Counter({cloid: len(manager.journal.numbers(cloid)) - 1 for cloid in cloids})
