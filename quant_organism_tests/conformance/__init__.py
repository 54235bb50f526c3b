"""Other people's clients on the simulated exchange: does what they ask get an answer that they understand?

Each client has a file that runs without the rest of the project, in an environment of its own (`CLIENT.txt`: pinned
versions with hashes); `python -m quant_organism_tests.conformance` makes the environments and writes the table.
"""
