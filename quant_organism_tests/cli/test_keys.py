"""Keys and the venue on the command line: brought in, listed, used, and never shown."""

import io
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from quant_organism.venue import wallet_of
from quant_organism_tests.program import Said
from quant_organism_tests.simulator.loopback import LoopbackVenue, serving

KEY = "0x" + "0123456789" * 6 + "0123"
ADDRESS = wallet_of(KEY).address
PASSPHRASE = "correct horse"


@pytest.fixture(autouse=True)
def passphrase(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Stand in an empty folder, with the passphrase in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUANT_ORGANISM_VENUE__PASSPHRASE", PASSPHRASE)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackVenue]:
    """Serve a venue that the settings name."""
    with serving(ADDRESS) as venue:
        monkeypatch.setenv("QUANT_ORGANISM_VENUE__BASE_URL", venue.url)
        monkeypatch.setenv("QUANT_ORGANISM_VENUE__ACCOUNT_ADDRESS", ADDRESS)
        yield venue


def bring_in(call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, name: str, key: str = KEY) -> Said:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{key}\n"))
    return call("keys", "import", name)


def test_a_key_is_brought_in_and_listed_without_being_shown(
    call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [bring_in(call, monkeypatch, "trader"), call("keys", "list"), call("keys", "list", "--json")]
    assert [each.code for each in said] == [0, 0, 0]
    assert said[0].out == f"trader: {ADDRESS}\n"
    assert json.loads(said[2].out) == [{"name": "trader", "address": ADDRESS}]
    assert [each for each in said if KEY[2:] in each.out + each.err] == []


def test_a_bad_key_is_refused_without_being_repeated(
    call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = bring_in(call, monkeypatch, "trader", KEY[:-1])
    assert said.code == 2
    assert "not a private key" in said.err
    assert KEY[2:-1] not in said.out + said.err
    assert "No keys here yet" in call("keys", "list").out


def test_the_account_is_shown_and_nothing_is_sent(
    call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, server: LoopbackVenue
) -> None:
    bring_in(call, monkeypatch, "trader")
    monkeypatch.setenv("QUANT_ORGANISM_VENUE__KEY", "trader")
    said = call("venue", "--json")
    assert said.code == 0, said.err
    shown = json.loads(said.out)
    assert (shown["network"], shown["account"], shown["account_value_usd"]) == ("simulator", ADDRESS, "100000.0")
    assert {endpoint for endpoint, _ in server.requests} == {"info"}
    assert call("venue").code == 0


def test_what_is_missing_is_named(call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no account is named" in call("venue").err
    monkeypatch.setenv("QUANT_ORGANISM_VENUE__ACCOUNT_ADDRESS", ADDRESS)
    assert "not a base URL" in call("venue").err
    monkeypatch.setenv("QUANT_ORGANISM_VENUE__BASE_URL", "http://127.0.0.1:1")
    assert "no wallet is named" in call("venue").err
    monkeypatch.setenv("QUANT_ORGANISM_VENUE__KEY", "nobody")
    assert "no key is called 'nobody'" in call("venue").err


@pytest.mark.parametrize(
    ("option", "confirmed", "expected"),
    [
        ([], False, "venue.confirm_mainnet"),
        ([], True, "--venue mainnet"),
        (["--venue", "mainnet"], False, "venue.confirm_mainnet"),
        (["--venue", "mainnet"], True, "no wallet is named"),
    ],
)
def test_the_main_network_needs_the_option_and_the_confirmation(
    option: list[str], confirmed: bool, expected: str, call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else is said; only with both does it go on to what is missing next. No socket is ever made."""

    def no_socket(*_: object, **__: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket, "create_connection", no_socket)
    monkeypatch.setattr(socket.socket, "connect", no_socket)
    monkeypatch.setenv("QUANT_ORGANISM_VENUE__NETWORK", "mainnet")
    monkeypatch.setenv("QUANT_ORGANISM_VENUE__ACCOUNT_ADDRESS", ADDRESS)
    if confirmed:
        monkeypatch.setenv("QUANT_ORGANISM_VENUE__CONFIRM_MAINNET", ADDRESS)
    said = call("venue", *option)
    assert said.code == 2
    assert expected in said.err


def test_the_option_alone_names_the_main_network_and_that_is_not_enough(
    call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANT_ORGANISM_VENUE__NETWORK", "testnet")
    monkeypatch.setenv("QUANT_ORGANISM_VENUE__ACCOUNT_ADDRESS", ADDRESS)
    assert "venue.confirm_mainnet" in call("venue", "--venue", "mainnet").err
    assert "'moon'" in call("venue", "--venue", "moon").err
    assert "no wallet is named" in call("venue", "--venue", "testnet").err
