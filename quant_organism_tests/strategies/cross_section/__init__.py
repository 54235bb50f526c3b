"""Tests of what ranks the assets of a panel."""
