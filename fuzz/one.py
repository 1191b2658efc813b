"""One target under libFuzzer: python -m fuzz.one TARGET [options and inputs of libFuzzer]."""

from __future__ import annotations

import importlib
import resource
import sys
from pathlib import Path

import atheris

from fuzz.targets import TARGETS

MEMORY = 8 << 30  # who asks for more has believed what a file says of its own size


def main() -> None:
    name, arguments = sys.argv[1], sys.argv[2:]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with atheris.instrument_imports(include=["whale_ros", "yaml", "zipfile", "numpy.lib"]):
        module = importlib.import_module(f"fuzz.{TARGETS[name].module}")
    if Path(arguments[0]).is_dir():
        for number, seed in enumerate(getattr(module, TARGETS[name].seeds)()):
            Path(arguments[0], f"seed{number}").write_bytes(seed)
    atheris.Setup([name, *arguments], getattr(module, name))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
