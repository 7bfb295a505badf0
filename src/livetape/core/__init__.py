"""The pure core: no socket, file, clock, log or task (floors 0 to 3)."""
