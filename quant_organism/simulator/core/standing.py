"""Who may act for an account, and what it has said of itself: agents, referrer, builders, how its money counts."""

from typing import Final

from quant_organism.market import MS_PER_DAY
from quant_organism.simulator.core.account import Account, Agent
from quant_organism.simulator.core.state import VenueCore
from quant_organism.venue.protocol import (
    ApproveAgent,
    ApproveBuilderFee,
    ConvertToMultiSig,
    SetAbstraction,
    SetReferrer,
    texts,
)

AGENT_MS: Final = 180 * MS_PER_DAY
NAMED_AGENTS: Final = 3
AGENTS_PER_SUB_ACCOUNT: Final = 2


def approve_agent(core: VenueCore, account: Account, action: ApproveAgent) -> str | None:
    """Let a wallet act for an account; return why not, or None where it is done.

    It takes the place of the agent of the same name, or of the unnamed one. A wallet acts for one account only, under
    one name; three names are free, and two more for each sub-account.
    """
    now, accounts = core.clock_ms, core.state.accounts
    until = now + AGENT_MS if action.valid_until_ms is None else action.valid_until_ms
    if not now < until <= now + AGENT_MS:
        return texts.AGENT_EXPIRY
    if action.agent in accounts or any(
        agent.address == action.agent and (agent.name != action.name or owner is not account)
        for owner in accounts.values()
        for agent in owner.agents
    ):
        return texts.AGENT_USED
    kept = [agent for agent in account.agents if agent.name != action.name]
    named = [agent for agent in kept if agent.name is not None and agent.valid_until_ms > now]
    sub_accounts = sum(other.master == account.address for other in accounts.values())
    if action.name is not None and len(named) >= NAMED_AGENTS + AGENTS_PER_SUB_ACCOUNT * sub_accounts:
        return texts.AGENTS_USED_UP
    account.agents = [*kept, Agent(action.name, action.agent, until)]
    return None


def agent_of(core: VenueCore, address: str) -> tuple[Account, Agent] | None:
    """Return whose agent an address is at this moment, and as what; None where it is nobody's."""
    for account in core.state.accounts.values():
        for agent in account.agents:
            if agent.address == address and agent.valid_until_ms > core.clock_ms:
                return account, agent
    return None


def change(
    core: VenueCore, account: Account, action: SetReferrer | ApproveBuilderFee | SetAbstraction | ConvertToMultiSig
) -> str | None:
    """Take down what an account says of itself; return why not, or None where it is done."""
    match action:
        case ConvertToMultiSig(users, threshold):
            if not set(users) <= core.state.accounts.keys():
                return texts.SIGNERS_UNKNOWN
            account.signers, account.threshold = users, threshold
        case SetReferrer(code):
            if account.referrer is not None:
                return texts.REFERRER_SET
            account.referrer = code
        case ApproveBuilderFee(builder, tenths):
            account.builder_fees[builder] = tenths
        case SetAbstraction(_, mode):
            if mode == "portfolioMargin":
                return texts.NO_PORTFOLIO_MARGIN
            account.is_unified = False
            if mode == "unifiedAccount":
                account.unify()
            account.uses_dex_abstraction = mode == "dexAbstraction"
    return None
