"""A cycle that the local exchange fed over the wire, with keys in its environment: run once, looked at by several."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from quant_organism.market.schema import MS_PER_HOUR, Interval, day_start_ms
from quant_organism.market.world import load_world
from quant_organism.market.world.source import WorldSource
from quant_organism.simulator import Engine, RunningVenue, ServerSpec, VenueClock, VenueServer, read_tape
from quant_organism.venue import wallet_of
from quant_organism_tests.finished import kept_with_world
from quant_organism_tests.program import finish
from quant_organism_tests.tiny import LAST, write_world

KEYS: Final = {name: "0x" + pair * 32 for name, pair in (("kept", "3e"), ("given", "c7"))}
"""One comes out of the keystore, the other out of the environment; both are of accounts with money."""
PASSPHRASE: Final = "correct horse battery staple"
ADDRESSES: Final = {name: wallet_of(key).address for name, key in KEYS.items()}
_ENVIRONMENT: Final = {
    "QUANT_ORGANISM_MARKET__WEIGHT_PER_MINUTE": "1000000",
    "QUANT_ORGANISM_VENUE__PASSPHRASE": PASSPHRASE,
    "QUANT_ORGANISM_VENUE__PRIVATE_KEY": KEYS["given"],
    "QUANT_ORGANISM_VENUE__ACCOUNT_ADDRESS": ADDRESSES["given"],
}
_OUT: Final = "out.txt"


@dataclass(frozen=True)
class OverTheWire:
    """A finished cycle on the bars of an exchange; look, do not touch.

    Attributes
    ----------
    folder
        Where it ran, with all that it printed.
    """

    folder: Path

    @property
    def found(self) -> dict[str, Any]:
        """Return what it said of its result."""
        said: dict[str, Any] = json.loads((self.folder / _OUT).read_text(encoding="utf-8"))
        return said

    def exchange(self) -> tuple[WorldSource, Engine]:
        """Return the world, and the exchange as it was when the cycle asked it."""
        world = WorldSource(load_world(str(self.folder / "tiny.yaml")))
        return world, Engine(read_tape(world, Interval.parse("1h")), day_start_ms(LAST) + MS_PER_HOUR)


def over_the_wire() -> OverTheWire:
    """Return the cycle of the tiny market as a venue offers it, run by the program as a person starts it."""

    def run(folder: Path) -> None:
        write_world(folder)
        _, engine = OverTheWire(folder).exchange()
        server = VenueServer(engine, VenueClock(engine.now_ms, 0, lambda: 0.0), ServerSpec(ip_weight_per_minute=None))
        with RunningVenue(server) as venue:
            said = finish(
                *("run", "--source", "hyperliquid", "--base-url", venue.url, "--market", "venue"),
                *("--profile", "smoke", "--threads", "1", "--json"),
                folder=folder,
                environment=_ENVIRONMENT,
            )
        assert said.code == 0, said.err
        (folder / _OUT).write_text(said.out, encoding="utf-8")
        (folder / "err.txt").write_text(said.err, encoding="utf-8")

    return OverTheWire(kept_with_world("over-the-wire", run))
