"""Keeps three episodes in the folder that it is given; in the fourth it counts until killed."""

import itertools
import sys
import time
from pathlib import Path

from whale_ros.data.bag_writer import Topic
from whale_ros.data.recording import Recording
from whale_ros.data.recording_checks import Limits, RecordingChecks
from whale_ros.data.recording_session import RecordingSession

NUMBER = Topic("/number", "std_msgs/msg/UInt64", "uint64 data\n")
ROLES = dict.fromkeys(("camera", "pose", "command"), "/number")

checks = RecordingChecks(Limits(0.1, 20.0, 0.05, 1e-9))
session = RecordingSession(Path(sys.argv[1]), checks, 1e-9)
for episode in range(4):
    session.start(0.0, Recording("", "sim", ROLES, "commanded_twists", "base", began=5.0))
    for role in ROLES:
        checks.feed(role, NUMBER, 0.0, None, 12)
    for value in range(100) if episode < 3 else itertools.count():
        session.write(NUMBER, time.time_ns(), 0, b"\0\1\0\0" + value.to_bytes(8, "little"))
        time.sleep(0.0 if episode < 3 else 0.001)
    session.keep(0.0, success=episode % 2 == 0, note="")
    print(episode, flush=True)
