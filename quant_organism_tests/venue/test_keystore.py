"""Keys: encrypted at rest, readable by their owner, shown by nobody."""

import copy
import json
import pickle
import traceback
from pathlib import Path

import pytest

from quant_organism.errors import InputError, IntegrityError
from quant_organism.venue.keystore import Keystore, wallet_of

KEY = "0x" + "0123456789" * 6 + "0123"
ADDRESS = "0x14791697260e4c9a71f18484c9f997b308e59325"
PASSPHRASE = "correct horse"


@pytest.fixture
def store(tmp_path: Path) -> Keystore:
    """Return a keystore with one key; the work factor is a test's."""
    store = Keystore(tmp_path / "keys", iterations=4)
    store.add("trader", KEY, PASSPHRASE)
    return store


def test_a_key_comes_back_as_the_wallet_of_its_address(store: Keystore) -> None:
    wallet = store.load("trader", lambda: PASSPHRASE)
    assert wallet.address == ADDRESS
    assert [(entry.name, entry.address) for entry in store.entries()] == [("trader", ADDRESS)]


def test_only_the_owner_can_read_it_and_the_key_is_not_in_it(store: Keystore, tmp_path: Path) -> None:
    (path,) = (tmp_path / "keys").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0
    assert KEY[2:] not in path.read_text()
    path.chmod(0o644)
    with pytest.raises(IntegrityError, match="others can read this key"):
        store.load("trader", lambda: PASSPHRASE)


def test_a_wrong_passphrase_or_name_says_so_and_nothing_more(store: Keystore) -> None:
    with pytest.raises(InputError, match="the passphrase does not open") as caught:
        store.load("trader", lambda: "wrong horse")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    with pytest.raises(InputError, match=r"no key is called 'other' \(there are: trader\)"):
        store.load("other", lambda: pytest.fail("asked for a passphrase in vain"))


def test_a_key_is_never_overwritten(store: Keystore, tmp_path: Path) -> None:
    before = (tmp_path / "keys" / "trader.json").read_bytes()
    with pytest.raises(InputError, match="already"):
        store.add("trader", "11" * 32, PASSPHRASE)
    assert [path.read_bytes() for path in (tmp_path / "keys").iterdir()] == [before]


@pytest.mark.parametrize("name", ["", "../x", "A", "a/b", ".hidden", "x" * 60])
def test_a_name_is_a_plain_word(store: Keystore, name: str) -> None:
    with pytest.raises(InputError, match="is not a name"):
        store.add(name, KEY, PASSPHRASE)


def test_a_swapped_address_is_noticed(store: Keystore, tmp_path: Path) -> None:
    path = tmp_path / "keys" / "trader.json"
    keyfile = json.loads(path.read_text())
    path.write_text(json.dumps({**keyfile, "address": "ab" * 20}))
    with pytest.raises(IntegrityError, match="holds the key of"):
        store.load("trader", lambda: PASSPHRASE)
    path.write_text("{")
    with pytest.raises(IntegrityError, match="not a keyfile"):
        store.entries()


@pytest.mark.parametrize("address", [None, 7, ["ab" * 20]])
def test_a_keyfile_without_an_address_is_refused(address: object, store: Keystore, tmp_path: Path) -> None:
    path = tmp_path / "keys" / "trader.json"
    keyfile = json.loads(path.read_text())
    del keyfile["address"]
    path.write_text(json.dumps(keyfile if address is None else {**keyfile, "address": address}))
    for asking in (store.entries, lambda: store.load("trader", lambda: pytest.fail("asked for a passphrase in vain"))):
        with pytest.raises(IntegrityError, match="a keyfile without an address") as caught:
            asking()
        assert str(path) in str(caught.value)


def test_a_passphrase_has_eight_characters_or_more(store: Keystore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a passphrase of 7 characters"):
        store.add("short", KEY, "1234567")
    assert [path.stem for path in (tmp_path / "keys").iterdir()] == ["trader"]
    store.add("long-enough", KEY, "12345678")
    assert store.load("long-enough", lambda: "12345678").address == ADDRESS


@pytest.mark.parametrize("bad", [KEY[:-1], KEY + "0", KEY[:-1] + "x", "0x" + "f" * 64, "0x" + "0" * 64])
def test_what_is_no_key_is_not_repeated_in_the_refusal(bad: str) -> None:
    with pytest.raises(InputError, match="not a private key") as caught:
        wallet_of(bad)
    shown = "".join(traceback.format_exception(caught.value))
    assert bad not in shown
    assert bad[2:] not in shown


def test_a_wallet_shows_its_address_whatever_prints_it() -> None:
    wallet = wallet_of(KEY)
    shown = f"{wallet} {wallet!r} {[wallet]} {vars(type(wallet))}"
    assert ADDRESS in shown
    assert KEY[2:] not in shown.lower()
    for write_down in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="not written down"):
            write_down(wallet)


def test_signatures_are_the_official_vectors(shared_venue: Path) -> None:
    document = json.loads((shared_venue / "signing_vectors.json").read_text())
    wallet = wallet_of(document["private_key"])
    plain = [vector for vector in document["l1"] if vector["vault"] is None]
    for vector in plain:
        for network in ("mainnet", "testnet"):
            signed = wallet.sign_l1(vector["action"], vector["nonce"], None, mainnet=network == "mainnet")
            assert signed == vector[network]
    assert len(plain) >= 4
