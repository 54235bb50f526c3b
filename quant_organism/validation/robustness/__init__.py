"""Does the edge survive being shaken? What a strategy earns when its genes, market or fills are changed a little.

Pure functions of (subject, seed); the gates that judge them are in `validation/gates/`. None of this is significance:
it asks whether a result hangs on one trade, asset, parameter or price, not whether it is more than luck.
"""
