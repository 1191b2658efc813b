"""How far to trust what is imagined: retracing and its rivals, against what really happened."""
