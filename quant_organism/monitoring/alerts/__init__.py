"""Alerts: what somebody must hear of, when it is told again, and by which channels. Nothing here mends anything."""
