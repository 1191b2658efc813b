"""One target under libFuzzer: python -m fuzz.one TARGET [options and inputs of libFuzzer]."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import atheris

from fuzz.targets import load

MEMORY = 8 << 30  # who asks for more has believed what a file says of its own size


def main() -> None:
    name, arguments = sys.argv[1], sys.argv[2:]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with atheris.instrument_imports(include=["whale_ros", "yaml", "zipfile", "numpy.lib"]):
        target, seeds = load(name)
    if Path(arguments[0]).is_dir():
        for number, seed in enumerate(seeds):
            Path(arguments[0], f"seed{number}").write_bytes(seed)
    atheris.Setup([name, *arguments], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
