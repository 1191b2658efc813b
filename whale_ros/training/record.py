"""What a run folder is a run of, so that it is never resumed as another one."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RECORD, LOCK, PROGRESS = "run.json", "lock", "progress.json"


def claim_run(folder: Path, **settings: object) -> None:
    """Write the settings (anything JSON) into `folder`, or compare with those that are there.

    All that decides what comes out belongs to them: the numbers of steps too, because the learning
    rate follows them. Raises ValueError naming the file, the first setting that differs, and both
    of its values.
    """
    path = folder / RECORD
    now = _flat(json.loads(json.dumps(settings)))
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(settings, indent=1) + "\n")
        partial.replace(path)
        return
    try:
        before = _flat(json.loads(path.read_text()))
    except (ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is broken, choose another folder: {error}") from error
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            raise ValueError(
                f"{path}: {name} is {before.get(name)!r} in the run that was begun here, "
                f"and {now.get(name)!r} now; go on with the former or choose another folder"
            )


@contextmanager
def work_alone(folder: Path) -> Iterator[None]:
    """Make the folder if it is not there. Raises ValueError if another process is at work in it.

    Whatever becomes of this process, its claim ends with it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"another process is at work in {folder}; wait, or end it") from None
        yield


def _flat(settings: dict, prefix: str = "") -> dict[str, object]:
    """Nested settings by dotted names."""
    flat: dict[str, object] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
