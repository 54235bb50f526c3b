"""Trading: orders from intention to end (`orders`). How requests travel belongs to `venue`."""
