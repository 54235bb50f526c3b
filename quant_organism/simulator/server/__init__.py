"""HTTP and WebSocket of the simulated venue, on loopback: what the unmodified SDK talks to.

Views turn the venue's state into answers; everything that changes the state goes through `actions`.
"""
