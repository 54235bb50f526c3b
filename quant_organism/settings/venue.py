"""Settings of where orders go."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class VenueSettings(BaseModel):
    """Where orders go, and for which account.

    Parameters
    ----------
    network
        `simulator`, `testnet` or `mainnet`; decides how actions are signed.
    base_url
        None: the network's own. The simulator has none of its own.
    account_address
        Account that is traded for.
    key
        Name of its agent wallet in the keystore.
    passphrase
        Opens the keystore; from the environment, never from a file. None: it is asked for.
    private_key
        The agent wallet itself, instead of `key`; from the environment, never from a file.
    confirm_mainnet
        The account's address once more: without it, and without `--venue mainnet` on the command line, nothing is sent
        to the main network.
    proxy
        HTTP proxy for all requests to the venue.
    connect_seconds, read_seconds
        Longest wait for a connection, and for an answer.
    action_seconds
        An action that arrives later is refused by the venue.
    visibility_seconds
        After so long the venue shows everything that it has processed.
    ip_weight_per_minute, ip_burst_weight
        REST weight spent in any minute, and at once.
    info_attempts
        How often a question is asked.
    breaker_failures, breaker_seconds
        After so many failures in a row the venue is left alone for so long.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: Literal["simulator", "testnet", "mainnet"] = "simulator"
    base_url: str | None = None
    account_address: str | None = None
    key: str | None = None
    passphrase: SecretStr | None = None
    private_key: SecretStr | None = None
    confirm_mainnet: str | None = None
    proxy: str | None = None
    connect_seconds: float = Field(5.0, gt=0)
    read_seconds: float = Field(10.0, gt=0)
    action_seconds: float = Field(30.0, gt=0)
    visibility_seconds: float = Field(5.0, ge=0)
    ip_weight_per_minute: int = Field(1200, ge=100, le=1200)
    ip_burst_weight: int = Field(400, ge=60)
    info_attempts: int = Field(4, ge=1)
    breaker_failures: int = Field(5, ge=1)
    breaker_seconds: float = Field(15.0, gt=0)

    @model_validator(mode="after")
    def _mainnet_is_meant(self) -> Self:
        address = self.account_address
        if self.network == "mainnet" and (address is None or (self.confirm_mainnet or "").lower() != address.lower()):
            raise ValueError(
                "real money would be at risk, and nothing confirms that this is meant; "
                "repeat the account's address as venue.confirm_mainnet"
            )
        if self.key is not None and self.private_key is not None:
            raise ValueError("both a key of the keystore and a private key are given; leave one of them out")
        return self
