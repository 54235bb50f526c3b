"""The `quant-organism` command: a thin reading of arguments over the functions that the assets call.

Each command is a small module, and imports what it needs only when it runs: `--help` stays quick.
"""
