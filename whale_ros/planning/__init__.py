"""Propose action sequences and pick one, with reasons. No torch, no ROS."""
