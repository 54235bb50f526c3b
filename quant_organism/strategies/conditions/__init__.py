"""Hand-written strategies: documents of conditions, what they mean bar by bar, and how large a trade they ask for.

Orders, cooldowns that have to be remembered and open positions belong to `trading`.
"""

from quant_organism.strategies.conditions.document import Condition, Document, Group
from quant_organism.strategies.conditions.inference import Needs, configured, infer
from quant_organism.strategies.conditions.load import load_conditions

__all__ = ["Condition", "Document", "Group", "Needs", "configured", "infer", "load_conditions"]
