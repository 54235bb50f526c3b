"""Settings: where a value comes from, and what is said when it cannot be used."""

from pathlib import Path
from typing import Any

import pytest

from quant_organism.errors import InputError
from quant_organism.settings import as_environment, credential, load_settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, text: str, name: str = "quant_organism.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_are_the_demo_world_in_the_folder_data() -> None:
    settings = load_settings()
    assert (settings.data_dir, settings.search_profile, settings.seed) == (Path("data"), "demo", 0)
    assert (settings.market.source, settings.market.world, settings.market.interval) == ("world", "demo", "1h")
    assert settings.market.min_quality == 0.95
    assert settings.worker_threads >= 1


@pytest.mark.parametrize(
    ("said", "profile"),
    [
        ({}, "demo"),
        ({"market": {"world_seed": 7}}, "demo"),
        ({"profile": "standard"}, "standard"),
        ({"market": {"world": "null"}}, "standard"),
        ({"market": {"source": "files", "path": "candles"}}, "standard"),
        ({"market": {"source": "hyperliquid"}}, "standard"),
    ],
)
def test_the_demo_world_alone_has_a_profile_of_its_own(said: dict[str, Any], profile: str) -> None:
    assert load_settings(said).search_profile == profile


def test_options_win_over_environment_over_file_over_defaults(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, "seed = 1\nprofile = 'smoke'\n[market]\ninterval = '4h'\nlookback_days = 100\nsymbols = ['A']\n")
    monkeypatch.setenv("QUANT_ORGANISM_MARKET__INTERVAL", "8h")
    monkeypatch.setenv("QUANT_ORGANISM_SEED", "2")
    settings = load_settings({"seed": 3, "market": {"symbols": "B,C", "interval": None}})
    assert (settings.seed, settings.profile) == (3, "smoke")
    assert settings.market.interval == "8h"
    assert settings.market.lookback_days == 100
    assert settings.market.symbols == ("B", "C")


def test_the_file_may_be_named_by_a_variable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_ORGANISM_CONFIG", str(write(folder, "seed = 9", "other.toml")))
    write(folder, "seed = 1")
    assert load_settings().seed == 9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sede = 1", ["quant_organism.toml: sede", "no setting of that name", "seed"]),
        ("[market]\nintervall = '1h'", ["quant_organism.toml: market.intervall", "interval"]),
        ("executor = 'thread'", ["quant_organism.toml: executor", "'thread'", "threads, ray, HOST:PORT"]),
        ("workers = 0", ["quant_organism.toml: workers", "0"]),
        ("data_dir = 's3://bucket/organism'", ["quant_organism.toml: data_dir", "an address", "a folder on a disk"]),
        ("[market]\ninterval = '7h'", ["quant_organism.toml: market.interval", "'7h'"]),
        ("[market]\nlookback_days = 731", ["market.lookback_days", "730"]),
        ("[market]\nmin_quality = 95", ["market.min_quality", "95"]),
        ("[market]\nsource = 'files'", ["no path", "--path"]),
        ("[market]\nbase_url = 'http://127.0.0.1:1'", ["base_url is given", "--source hyperliquid"]),
        ("[market]\nsource = 'hyperliquid'\nbase_url = 'http://127.0.0.1:1/'", ["no address", "http://host:port"]),
        ("[market]\nsource = 'hyperliquid'\nproxy = 'http://a:secret@b'", ["name or password", "needs none"]),
        ("[market", ["quant_organism.toml", "not valid TOML"]),
        ("[venue]\nnetwrk = 'testnet'", ["quant_organism.toml: venue.netwrk", "network"]),
        ("[venue]\nnetwork = 'moon'", ["quant_organism.toml: venue.network", "'moon'"]),
        ("[venue]\npassphrase = 'x'", ["venue.passphrase", "a secret stands in a file", "QUANT_ORGANISM_VENUE__"]),
        ("[venue]\nprivate_key = 'x'", ["venue.private_key", "a secret stands in a file"]),
    ],
)
def test_what_is_wrong_in_the_file_is_named_with_file_and_key(text: str, expected: list[str], folder: Path) -> None:
    write(folder, text)
    with pytest.raises(InputError) as caught:
        load_settings()
    assert [part for part in expected if part not in str(caught.value)] == []


@pytest.mark.parametrize("executor", ["threads", "ray", "10.0.0.3:6379", "ray://head.cluster:10001"])
def test_every_kind_of_executor_can_be_named(executor: str) -> None:
    assert load_settings({"executor": executor}).executor == executor


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("QUANT_ORGANISM_SEDE", "1"),
        ("QUANT_ORGANISM_MARKET__INTERVALL", "1h"),
        ("QUANT_ORGANISM_MARKET__INTERVAL", "7h"),
        ("QUANT_ORGANISM_SEED", "-1"),
        ("QUANT_ORGANISM_CONFIG", "nowhere.toml"),
    ],
)
def test_what_is_wrong_in_the_environment_is_named_by_variable(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InputError, match=variable):
        load_settings()


def test_options_as_environment_give_a_child_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"seed": 4, "threads": None, "market": {"world": "null", "symbols": "A,B", "repair": True}}
    expected = load_settings(options)
    for name, value in as_environment(options).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == expected


def test_secrets_come_from_the_environment_and_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_ORGANISM_VENUE__PRIVATE_KEY", "c0ffee" * 10)
    monkeypatch.setenv("QUANT_ORGANISM_VENUE__PASSPHRASE", "correct horse")
    settings = load_settings()
    assert settings.venue.passphrase is not None
    assert settings.venue.passphrase.get_secret_value() == "correct horse"
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert "c0ffee" not in shown
    assert "horse" not in shown


def test_a_secret_of_other_programs_is_handed_out_by_name_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-a-test")
    secret = credential("AWS_SECRET_ACCESS_KEY")
    assert secret is not None
    assert secret.get_secret_value() == "of-a-test"
    assert "of-a-test" not in f"{secret!r} {secret} {load_settings().model_dump()}"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "")
    assert credential("AWS_SECRET_ACCESS_KEY") is None
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert credential("AWS_SECRET_ACCESS_KEY") is None
