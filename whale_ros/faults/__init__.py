"""Faults on purpose: what the gate promises, tried many times and judged by somebody else.

Plain Python without ROS and torch; `oracle` knows the contract and nothing of the gate's code.
"""
