"""Research flows written in YAML: typed spec, plan, patterns, runs that are resumed to the same bytes.

How a search moves or a gate judges belongs to the rooms below: a phase calls what they offer, and adds nothing.
"""
