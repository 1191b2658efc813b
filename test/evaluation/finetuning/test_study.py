"""A small study from end to end; a later one goes on with it."""

import json
from argparse import ArgumentParser
from functools import partial

import pytest

from whale_ros.cli import finetune as command
from whale_ros.evaluation.finetuning import material, measures
from whale_ros.evaluation.finetuning import study as module
from whale_ros.evaluation.finetuning.material import Material
from whale_ros.evaluation.finetuning.outcome import train_outcome_probe
from whale_ros.evaluation.finetuning.study import METHODS, study
from whale_ros.evaluation.finetuning.summary import table
from whale_ros.evaluation.position_probe import train_position_probe
from whale_ros.training.finetune import STEPS
from whale_ros.training.pretrain import Steps
from whale_ros.world_model.checkpoint import Card, Scales, load_checkpoint, save_checkpoint

CELLS = {"real", "copy", "base", "finetuned_2_0", "scratch_2_0"}


@pytest.fixture(scope="module", autouse=True)
def quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measures, "CANDIDATES", 2)
        patch.setattr(material, "CALIBRATING", 9)
        for name in ("STEPS", "SCRATCH_STEPS"):
            patch.setattr(module, name, Steps(2, 1, 2))
        for train in (train_position_probe, train_outcome_probe):
            patch.setattr(measures, train.__name__, partial(train, steps=2))
        yield


@pytest.fixture(scope="module")
def base(random_model, tmp_path_factory):
    model, folder = random_model(), tmp_path_factory.mktemp("base")
    save_checkpoint(folder, model, Card(model.config, model.action_space, Scales(1.0, 1.0, 1.0)))
    return folder


@pytest.fixture(scope="module")
def report(robots, base, tmp_path_factory):
    """The folder and the summary."""
    output = tmp_path_factory.mktemp("report")
    return output, study(*robots, base, output, counts=(2,), seeds=1)


def read(output) -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text()) for path in (output / "cells").iterdir()}


def test_every_cell_is_measured_alike_on_both_robots(report):
    output, summary = report
    done = read(output)
    assert set(done) == CELLS
    for cell in done.values():
        assert cell["new"].keys() == cell["old"].keys() >= {"consistency", "object_error_cm"}
    assert {(row["method"], row["demonstrations"]) for row in summary["rows"]} == {
        ("real", None), ("copy", None), ("base", None), ("finetuned", 2), ("scratch", 2),
    }  # fmt: skip
    assert done["real"]["new"]["feature_distance"] == 0
    assert json.loads((output / "summary.json").read_text()) == summary
    assert all((output / name).stat().st_size > 5000 for name in ("table.png", "strip.png"))


def test_what_is_scratch_has_not_seen_the_base_nor_the_old_robot(report):
    output, _ = report
    cards = {name: load_checkpoint(output / "runs" / name / "checkpoint")[1]
             for name in ("finetuned_2_0", "scratch_2_0")}  # fmt: skip
    assert cards["finetuned_2_0"].training["replay"]
    assert cards["scratch_2_0"].training["replay"] is None
    tuned, scratch = (set(card.training["episodes_sha256"]) for card in cards.values())
    assert scratch < tuned  # which knows what was replayed, too


def test_the_gate_of_a_base_stays_shut_and_the_table_says_so(report):
    _, summary = report
    rows = {row["method"]: row for row in summary["rows"]}
    assert rows["base"]["gate"]["gate_pass_rate"]["mean"] == 0
    assert 0 <= rows["finetuned"]["gate"]["gate_pass_rate"]["mean"] <= 1
    assert rows["copy"]["gate"]["gate_pass_rate"]["mean"] is None
    line = next(line for line in table(summary).splitlines() if "shipped base" in line)
    assert line.endswith("0.000")


def test_what_is_there_is_not_done_again(report, robots, base, monkeypatch):
    output, summary = report
    before = read(output)
    (output / "cells" / "finetuned_2_0.json").unlink()
    (output / "cells" / "copy.json").unlink()
    monkeypatch.setattr(module, "finetune", None)  # it has a checkpoint already
    monkeypatch.setattr(measures, "train_outcome_probe", None)
    assert study(*robots, base, output, METHODS, (2,), 1) == summary
    assert read(output) == before


def test_another_study_needs_another_folder(report, robots, base):
    with pytest.raises(ValueError, match="run.json"):
        study(robots[1], robots[0], base, report[0], counts=(2,), seeds=1)


def test_too_few_demonstrations_are_told_of(robots, base, tmp_path):
    with pytest.raises(ValueError, match="has 11 demonstrating .* 13 are needed: 2 for each of 2"):
        study(*robots, base, tmp_path, counts=(2,), seeds=2)
    with pytest.raises(ValueError, match="2 demonstrations at least"):
        study(*robots, base, tmp_path, counts=(1,), seeds=1)


def test_no_episode_has_two_parts(write_robot, robots, tmp_path):
    given = Material.read(write_robot(tmp_path, (9, 99, 9), 19), robots[1], seeds=2, most=5)
    parts = [given.demonstrations(seed, 5, replayed=False) for seed in (0, 1)]

    def known(*sets):
        return [one for data in sets for known_by in data.known_by for one in known_by]

    files = [file for part in parts for file in known(part.new, part.held_out)]
    files += known(given.calibrating, given.test)
    assert len(files) == len(set(files)) == 19 + len(given.test)
    assert [len(part.held_out) for part in parts] == [1, 1]
    few = given.demonstrations(1, 2, replayed=True)
    assert set(known(few.new, few.held_out)) < set(known(parts[1].new, parts[1].held_out))
    assert few.replay is given.replay


def test_it_takes_the_steps_that_the_command_takes():
    parser = ArgumentParser()
    command.add(parser.add_subparsers())
    options = parser.parse_args(["finetune", "run", "--data", "data"])
    taken = options.tokenizer_steps, options.behavior_steps, options.dynamics_steps
    assert taken == (STEPS.tokenizer, STEPS.behavior, STEPS.dynamics)
