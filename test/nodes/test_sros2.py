"""config/sros2/policy.xml: each node may say what it says, and only the gate commands the arm."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
POLICY = ROOT / "config/sros2/policy.xml"
ENCLAVES = "/whale_ros/"
ROBOT = ROOT / "config/robots/sim.yaml"
COMMANDS = {
    "/" + yaml.safe_load(ROBOT.read_text())["/**"]["ros__parameters"][name]
    for name in ("command_topic", "gripper_command_topic")
}

# (enclave, node) -> what it may do -> names of topics and services
Rules = dict[tuple[str, str], dict[str, set[str]]]


def allowed() -> Rules:
    rules: Rules = {}
    for enclave in ET.parse(POLICY).getroot().iterfind("enclaves/enclave"):
        for profile in enclave.iterfind("profiles/profile"):
            node = full_name(profile.attrib["node"], profile)
            own = rules.setdefault((enclave.attrib["path"], node), {})
            for group in profile:
                ((what, answer),) = group.attrib.items()
                assert answer == "ALLOW"
                own.setdefault(what, set()).update(full_name(one.text, profile) for one in group)
    return rules


def full_name(name: str, profile: ET.Element) -> str:
    """As permissions.xsl of sros2 makes it."""
    space = profile.attrib["ns"].rstrip("/")
    if name.startswith("/"):
        return name
    return space + (f"/{profile.attrib['node']}{name[1:]}" if name[0] == "~" else f"/{name}")


def test_only_the_gate_may_command_the_arm():
    commanding = {
        enclave for (enclave, _), may in allowed().items() if may.get("publish", set()) & COMMANDS
    }
    assert commanding == {"/whale_ros/gate"}
    assert len(COMMANDS) == 2 and "*" not in POLICY.read_text()


def test_only_the_planner_may_approve_chunks_and_only_the_world_model_judges():
    for topic, node in (
        ("/approved_chunk", "planner"),
        ("/world_model/uncertainty", "world_model"),
    ):
        may = {e for (e, _), own in allowed().items() if topic in own.get("publish", set())}
        assert may == {ENCLAVES + node}


@pytest.mark.ros
def test_each_node_may_do_what_it_does_and_nothing_else(ros, start, checkpoint):
    everything = {  # also what a parameter has to turn on
        "gate": ("estop_topic:=estop",),
        "planner": (),
        "world_model": (f"checkpoint:={checkpoint}", "adaptive:=true"),
        "sim_robot": (),
        "scripted_policy": (),
    }
    for name, parameters in everything.items():
        more = [a for p in (*parameters, "use_sim_time:=true") for a in ("-p", p)]
        files = ("--params-file", f"config/{name}.yaml", "--params-file", str(ROBOT))
        start(name, *files, *more, "--enclave", ENCLAVES + name)

    rules = {who: may for who, may in allowed().items() if who[1] != "/operator"}
    nodes = {ENCLAVES + name for name in everything}
    assert {enclave for enclave, _ in rules} == nodes

    def differing() -> dict[str, set[str]]:
        """By node, what only the policy (-) or only the graph (+) has."""
        seen = {who: does(ros.node, who[1]) for who in here(ros.node, nodes)}
        found = {}
        for who in rules.keys() | seen.keys():
            may, sees = flat(rules.get(who, {})), flat(seen.get(who, {}))
            if more := {f"-{x}" for x in may - sees} | {f"+{x}" for x in sees - may}:
                found[" ".join(who)] = more
        return found

    try:
        ros.wait(lambda: not differing(), "the graph that the policy describes", 40)
    except AssertionError:
        assert differing() == {}
        raise


def here(node, enclaves: set[str]) -> set[tuple[str, str]]:
    return {
        (enclave, f"{space.rstrip('/')}/{name}")
        for name, space, enclave in node.get_node_names_and_namespaces_with_enclaves()
        if enclave in enclaves
    }


def does(node, name: str) -> dict[str, set[str]]:
    space, name = name.rsplit("/", 1)
    return {
        what: {topic for topic, _ in ask(name, space or "/")}
        for what, ask in (
            ("publish", node.get_publisher_names_and_types_by_node),
            ("subscribe", node.get_subscriber_names_and_types_by_node),
            ("reply", node.get_service_names_and_types_by_node),
            ("request", node.get_client_names_and_types_by_node),
        )
    }


def flat(rules: dict[str, set[str]]) -> set[str]:
    return {f"{what} {name}" for what, names in rules.items() for name in names}
