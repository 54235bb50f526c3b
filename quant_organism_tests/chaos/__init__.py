"""Faults rehearsed by the thousand (`make chaos`): traders, their feed and their death on the simulated venue."""
