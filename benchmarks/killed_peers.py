#!/usr/bin/env python3
"""What a killed process does to those that go on, by shared memory and by UDP.

    python benchmarks/killed_peers.py [--kills 30] [--json]

A robot sends pictures at 10 Hz and commands at 100 Hz; two listen to both, and a third one that
listens and sends too is killed (SIGKILL) and started again and again. A stall is a command that
came more than a quarter of a second after the one before it, within two seconds after a kill, or
before it: so often it happens without one. Deaf is who heard nothing for two seconds. As root, on
Linux: each transport has a network namespace of its own, because on ROS's range LOCALHOST Fast DDS
takes shared memory whatever it is told.
"""

import argparse
import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time

ENVIRONMENTS = {
    "shared memory": {"FASTDDS_BUILTIN_TRANSPORTS": "DEFAULT"},
    "UDP": {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"},
}
OWN = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET", "ROS_DOMAIN_ID": "11"}
STALL_S = 0.25
DEAF_S = 2.0


def play(role: str, side: int) -> None:
    """A process; at the end it prints what it heard."""
    import rclpy
    from geometry_msgs.msg import TwistStamped
    from rclpy.executors import ExternalShutdownException
    from rclpy.qos import qos_profile_sensor_data as BEST_EFFORT
    from sensor_msgs.msg import Image

    if role != "victim":  # of those that go on, silence is to come from a lock and not from load
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    rclpy.init()
    picture = bytes(side * side * 3)
    node = rclpy.create_node(role)
    gaps, delays, last, images = [], [], [time.time()], [0]

    def heard(message: TwistStamped) -> None:
        now = time.time()
        if now - last[0] > STALL_S:
            gaps.append((last[0], now))
        last[0] = now
        delays.append(now - message.header.stamp.sec - message.header.stamp.nanosec * 1e-9)

    def send(publisher, kind) -> None:
        message = kind()
        message.header.stamp = node.get_clock().now().to_msg()
        if kind is Image:
            message.data = picture
            images[0] += 1
        publisher.publish(message)

    def see(_message: Image) -> None:
        images[0] += 1

    if role == "robot":
        pictures = node.create_publisher(Image, "image", BEST_EFFORT)
        commands = node.create_publisher(TwistStamped, "command", 1)
        node.create_timer(0.1, lambda: send(pictures, Image))
        node.create_timer(0.01, lambda: send(commands, TwistStamped))
    else:
        node.create_subscription(Image, "image", see, BEST_EFFORT)
        node.create_subscription(TwistStamped, "command", heard, 1)
    if role == "victim":
        others = node.create_publisher(TwistStamped, "other", 1)
        node.create_timer(0.005, lambda: send(others, TwistStamped))
    elif role != "robot":
        node.create_subscription(TwistStamped, "other", lambda _message: None, 1)
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)
    gaps.append((last[0], time.time()))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    heard_all = {
        "gaps": gaps,
        "delays": delays,
        "images": images[0],
        "cpu_s": usage.ru_utime + usage.ru_stime,
    }
    print(json.dumps({"role": role, **heard_all}))


def start(role: str, side: int) -> subprocess.Popen:
    command = [sys.executable, __file__, "--role", role, "--side", str(side)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def measure(kills: int, side: int) -> dict:
    """In this process's network namespace."""
    for command in ("link set lo up", "link set lo multicast on", "route add 239.0.0.0/8 dev lo"):
        subprocess.run(["ip", *command.split()], check=True)
    survivors = [start(role, side) for role in ("robot", "one", "two")]
    rng, times, began = random.Random(0), [], time.monotonic()
    for _ in range(kills):
        victim = start("victim", side)
        time.sleep(rng.uniform(2.5, 4.5))
        times.append(time.time())
        victim.kill()
        victim.wait()
    time.sleep(2 * DEAF_S)
    seconds = time.monotonic() - began
    stalls = stalls_before = deaf = received = 0
    delays, cpu_s = [], 0.0
    for process in survivors:
        process.send_signal(signal.SIGINT)
        heard = json.loads(process.communicate()[0])
        cpu_s += heard["cpu_s"]
        if heard["role"] == "robot":
            sent = heard["images"]
            continue
        received += heard["images"]
        delays += heard["delays"]
        for at in times:
            after = [to - since for since, to in heard["gaps"] if -0.1 < since - at < 2.0]
            before = [to - since for since, to in heard["gaps"] if -2.2 < since - at < -0.1]
            stalls += bool(after)
            stalls_before += bool(before)
            deaf += max(after, default=0.0) > DEAF_S
    delays.sort()
    return {
        "kills": kills,
        "stalls": {"after a kill": stalls, "before it": stalls_before, "of": 2 * kills},
        "deaf": deaf,
        "images": round(received / 2 / sent, 3),
        "delay_ms": {
            p: round(1000 * delays[int(p / 100 * (len(delays) - 1))], 2) for p in (50, 99)
        },
        "processor": round(cpu_s / seconds, 3),
        "load_average": os.getloadavg()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30, help="for each transport (default 30)")
    parser.add_argument(
        "--side", type=int, default=128, help="of a picture in pixels (default 128)"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--role", help=argparse.SUPPRESS)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        play(arguments.role, arguments.side)
        return
    if arguments.measure:
        print(json.dumps(measure(arguments.kills, arguments.side)))
        return
    results = {}
    for name, environment in ENVIRONMENTS.items():
        command = ["unshare", "--net", sys.executable, __file__, "--measure"]
        done = subprocess.run(
            [*command, "--kills", str(arguments.kills), "--side", str(arguments.side)],
            env={**os.environ, **OWN, **environment},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        results[name] = json.loads(done.stdout)
        if not arguments.json:
            print(f"{name}: {results[name]}")
    if arguments.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
