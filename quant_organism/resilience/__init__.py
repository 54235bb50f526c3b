"""Parts that any room may use to survive trouble: files that are replaced whole or not at all.

Nothing here knows what is in the files.
"""
