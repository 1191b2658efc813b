"""Improve a policy from recorded episodes alone, by what a world model imagines (MOPO)."""
