"""Orders from intention to end: states, a journal that is written before anything is sent, reconciliation, flattening.

How requests travel does not belong here (`client`), nor what should be traded.
"""
