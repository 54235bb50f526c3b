"""The way to the venue over REST: transport, limits, signing, typed answers; one code for every network.

What to send and when does not belong here (`orders`), nor what comes over the WebSocket (`feed`).
"""
