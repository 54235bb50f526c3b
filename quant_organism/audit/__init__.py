"""The audit: the whole organism on fresh markets whose truth is known, and how often it is wrong.

Worlds, the organism as the cycle runs it, its outcome in each world, and the rates over all of them. Nothing here
searches, judges or decides by itself.
"""
