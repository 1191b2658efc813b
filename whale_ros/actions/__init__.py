"""Typed action spaces: what the numbers of an action mean, how actions compose and split."""
