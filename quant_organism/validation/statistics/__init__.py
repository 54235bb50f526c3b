"""The formulas that tell luck from skill: pure functions of arrays, one idea per file.

What cannot be computed says so: `nan` where a number is undefined, `NotRun` with its reason where the evidence does not
suffice, `InputError` where the input is broken. Searches, thresholds and verdicts belong to the rest of `validation`.
"""
