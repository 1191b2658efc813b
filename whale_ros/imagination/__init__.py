"""Imagined futures: rolling a world model forward, and how far to trust what it shows."""
