"""The venue's WebSocket: what is said on it as events, trades as bars, and how nothing of them is lost on the way.

The core (messages, bars, core, watchdog) has no socket and no clock of its own; connection and recording are around it.
What to do with an event does not belong here.
"""
