"""The gate: what stands between a learned planner and the arm, and fails closed.

Plain Python, without ROS and torch; `core.Gate` is deterministic given its inputs and their times.
"""
