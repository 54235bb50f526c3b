"""Hand-written strategies: genomes of documents, what they need, why they decided as they did, sizes of trades.

Orders, cooldowns that have to be remembered and open positions belong to `trading`.
"""

from quant_organism.strategies.handwritten.explanation import Explanation, explain
from quant_organism.strategies.handwritten.inference import StrategyNeeds, configured, infer
from quant_organism.strategies.handwritten.load import load_conditions

__all__ = ["Explanation", "StrategyNeeds", "configured", "explain", "infer", "load_conditions"]
