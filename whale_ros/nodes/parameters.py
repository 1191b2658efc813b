"""Declare a node's parameters from a table; refuse wrong values by name, value and allowed range.

PARAMETERS = (
    Parameter("rate_hz", 10.0, "How often it looks.", range=(0.1, 100.0)),
    Parameter("style", "plain", "How it writes.", choices=("plain", "bold")),
)
values = declare(node, PARAMETERS)   # values["rate_hz"] follows changes at runtime
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import rclpy.parameter
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node

from whale_ros.nodes.known_parameters import why_unknown


class BadParameter(ValueError):
    """A parameter has a value that the node refuses. The message is meant for the user."""


@dataclass(frozen=True)
class Parameter:
    """One row of the table. The type of `default` is the type of the parameter.

    default: bool, int, float, str, or a non-empty list of floats or strings; a list of floats
    keeps its length. range: both ends allowed, for numbers and lists of floats. choices: for
    strings. read_only: fixed once the node runs.
    """

    name: str
    default: Any
    description: str
    range: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = False

    def check(self, value: Any) -> Any:
        """Return `value` in the type of the default. Raises BadParameter."""
        if isinstance(self.default, list):
            if not isinstance(value, Sequence) or isinstance(value, str):
                raise self._refuse(value)
            of_floats = isinstance(self.default[0], float)
            if of_floats and len(value) != len(self.default):
                raise self._refuse(value)
            return [self._check_one(value, one, type(self.default[0])) for one in value]
        return self._check_one(value, value, type(self.default))

    def _check_one(self, value: Any, one: Any, kind: Any) -> Any:  # one: value or an item of it
        if kind is float and isinstance(one, int) and not isinstance(one, bool):
            one = float(one)
        if type(one) is not kind or (isinstance(one, float) and not math.isfinite(one)):
            raise self._refuse(value)
        if self.range and not self.range[0] <= one <= self.range[1]:
            raise self._refuse(value)
        if self.choices and one not in self.choices:
            raise self._refuse(value)
        return one

    def _refuse(self, value: Any) -> BadParameter:
        return BadParameter(f"parameter {self.name!r}: {value!r} is refused, use {self.allowed}")

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        if isinstance(self.default, list):
            kind = type(self.default[0]).__name__
            count = f"{len(self.default)} " if kind == "float" else ""
            text = f"a list of {count}{kind} values such as {self.default}"
        else:
            text = f"a {type(self.default).__name__} such as {self.default!r}"
        if self.range:
            text += f", from {self.range[0]:g} to {self.range[1]:g}"
        if self.choices:
            text = "one of " + ", ".join(repr(choice) for choice in self.choices)
        return text


def declare(
    node: Node,
    table: Sequence[Parameter],
    why_refused: Callable[[dict[str, Any]], str | None] | None = None,
) -> dict[str, Any]:
    """Declare every parameter of the table and return the values by name.

    The dictionary follows later changes. `why_refused` gets all values as they would be and says
    what is wrong between them, or None. Raises BadParameter at the first wrong value, and for a
    name that was given and that no node knows; a `main` turns it into one line:
    `except BadParameter as error: refuse("gate", error)`.
    """
    values: dict[str, Any] = {}
    for row in table:
        # Untyped until checked, so that `1` may stand for `1.0` and the refusal is ours.
        loose = ParameterDescriptor(description=row.description, dynamic_typing=True)
        declared = node.declare_parameter(row.name, row.default, loose)
        values[row.name] = row.check(_plain(declared.value))
        node.set_descriptor(row.name, _descriptor(row))
    declared_names = node.list_parameters([], 0).names
    if reason := why_unknown(node._parameter_overrides, declared_names):  # no public way to ask
        raise BadParameter(reason)
    if why_refused and (reason := why_refused(values)):
        raise BadParameter(reason)

    rows = {row.name: row for row in table}

    def check(changes: list[rclpy.parameter.Parameter]) -> SetParametersResult:
        try:
            changed = {
                change.name: rows[change.name].check(_plain(change.value))
                for change in changes
                if change.name in rows
            }
        except BadParameter as error:
            return SetParametersResult(successful=False, reason=str(error))
        if why_refused and (reason := why_refused({**values, **changed})):
            return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def adopt(changes: list[rclpy.parameter.Parameter]) -> None:
        for change in changes:
            if change.name in rows:
                values[change.name] = rows[change.name].check(_plain(change.value))

    node.add_on_set_parameters_callback(check)
    node.add_post_set_parameters_callback(adopt)
    return values


def refuse(node: str, why: object) -> NoReturn:
    """End the process with one line, and a status that tells a supervisor not to try again."""
    print(f"{node}: {why}", file=sys.stderr)
    sys.exit(os.EX_CONFIG)


def _descriptor(row: Parameter) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        name=row.name,
        description=row.description,
        additional_constraints=row.allowed,
        read_only=row.read_only,
        dynamic_typing=True,
    )
    if row.range and isinstance(row.default, float):
        low, high = map(float, row.range)
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    elif row.range and isinstance(row.default, int):
        low, high = map(int, row.range)
        descriptor.integer_range = [IntegerRange(from_value=low, to_value=high)]
    return descriptor


def _plain(value: Any) -> Any:
    """Arrays as lists, the rest as it is."""
    return value.tolist() if hasattr(value, "tolist") else value
