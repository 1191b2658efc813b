"""A base learns another scene from a few demonstrations, and is itself never touched."""

import hashlib
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.training import finetune as module
from whale_ros.training import low_rank
from whale_ros.training import pretrain as pretraining
from whale_ros.training.dataset import EpisodeSet
from whale_ros.training.finetune import Demonstrations, finetune, held_out_loss, with_replay
from whale_ros.training.loop import Stage
from whale_ros.training.pretrain import (
    Steps,
    dynamics_stage,
    encode_all,
    pretrain,
    tokenizer_stage,
)
from whale_ros.world_model.checkpoint import Card, Scales, load_checkpoint, save_checkpoint
from whale_ros.world_model.frames import to_float

STEPS = Steps(60, 5, 60)
CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def small_batches():
    """Less than half of the usual ones: it is not speed that is tried here."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TOKENIZER_BATCH", "BEHAVIOR_BATCH", "DYNAMICS_BATCH"):
            patch.setattr(pretraining, name, 4)
        yield


@pytest.fixture(scope="module")
def scenes(write_scene, tmp_path_factory):
    """Folders of what the base knows, and of what is new to it."""
    folder = tmp_path_factory.mktemp("scenes")
    return write_scene(folder / "old", (250, 60, 60), 8), write_scene(folder / "new", (60, 90, 250))


@pytest.fixture(scope="module")
def sets(scenes):
    """old, new, and of both what is held out."""
    return [EpisodeSet(folder, split) for split in ("train", "validation") for folder in scenes]


@pytest.fixture(scope="module")
def base(sets, small_config, tmp_path_factory):
    torch.set_num_threads(1)
    run = tmp_path_factory.mktemp("base")
    model = pretrain(sets[0], small_config, run / "run", Steps(100, 5, 100))
    card = Card(model.config, model.action_space, Scales(1.0, 1.0, 1.0))
    save_checkpoint(run / "checkpoint", model, card)
    return run / "checkpoint"


@pytest.fixture
def data(sets):
    return Demonstrations(sets[1], sets[3])


@pytest.fixture(scope="module")
def tuned(base, sets, tmp_path_factory):
    """Without replay and with it: model and outcomes."""
    runs = tmp_path_factory.mktemp("tuned")
    both = Demonstrations(sets[1], sets[3]), Demonstrations(sets[1], sets[3], sets[0], 0.5)
    return [finetune(base, d, runs / str(i), STEPS) for i, d in enumerate(both)]


def hashes(folder) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def seeing(model, data) -> float:
    return held_out_loss(tokenizer_stage(model, data), CPU)()


def foretelling(model, data) -> float:
    return held_out_loss(dynamics_stage(model, data, encode_all(model, data, show=False)), CPU)()


def test_the_new_scene_is_seen_and_foretold_better_than_by_the_base(base, sets, tuned):
    before, held_out = load_checkpoint(base)[0], sets[3]
    (model, outcomes), _ = tuned
    assert not model.training
    assert seeing(model, held_out) < 0.95 * seeing(before, held_out)
    assert foretelling(model, held_out) < 0.98 * foretelling(before, held_out)
    # What is reported is what the weights that are kept come to.
    assert outcomes["tokenizer"].held_out_loss == pytest.approx(seeing(model, held_out))
    assert outcomes["dynamics"].held_out_loss == pytest.approx(foretelling(model, held_out))
    assert set(outcomes) == {"tokenizer", "behavior", "dynamics"}


def test_the_new_scene_becomes_the_familiar_one(base, sets, tuned):
    old, new, _, held_out = sets
    before, after = load_checkpoint(base)[0].familiarity, tuned[0][0].familiarity
    for known, unknown, familiarity in ((old, held_out, before), (held_out, old, after)):
        seen, strange = (familiarity(to_float(data.frames.flat)) for data in (known, unknown))
        assert seen.max() < strange.min()


def test_replay_keeps_what_the_base_knew(base, sets, tuned):
    old = sets[2]
    forgetful, mindful = (model for model, _ in tuned)
    assert seeing(mindful, old) < seeing(forgetful, old)
    assert foretelling(mindful, old) < foretelling(forgetful, old)


@given(st.integers(1, 12), st.floats(0, 0.99), st.integers(0, 100))
def test_of_a_batch_the_share_that_was_asked_for_is_replayed(rows, share, seed):
    def stage(value):
        def batch(generator):
            return torch.full((rows, 2), value), torch.rand(rows, generator=generator)

        return Stage("stage", torch.nn.Identity(), batch, lambda *_: None)

    mixed = with_replay(stage(1), stage(2), share)
    which, number = mixed.batch(torch.Generator().manual_seed(seed))
    replayed = round(share * rows)
    assert which[:, 0].tolist() == [1] * (rows - replayed) + [2] * replayed
    assert len(number) == rows


def test_what_was_replayed_and_what_the_base_had_learnt_counts_as_learnt(base, sets):
    card = load_checkpoint(base)[1]
    earlier = replace(card, training={"episodes_sha256": ["earlier"]})
    both = Demonstrations(sets[1], sets[3], sets[0])
    learnt = both.described(earlier)["episodes_sha256"]
    known = [known_by for data in (sets[0], sets[1], sets[3]) for known_by in data.known_by]
    assert set(learnt) == {"earlier"}.union(*known)
    assert "earlier" not in both.described(card)["episodes_sha256"]


def test_a_stage_without_steps_is_left_as_it_is(base, data, tmp_path):
    before = load_checkpoint(base)[0]
    after, outcomes = finetune(base, data, tmp_path / "run", Steps(0, 0, 2))
    assert set(outcomes) == {"dynamics"}
    for part, same in (("tokenizer", True), ("behavior", True), ("dynamics", False)):
        old, new = getattr(before, part).state_dict(), getattr(after, part).state_dict()
        assert all(torch.equal(old[name], new[name]) for name in old) == same, part


class Interruption(Exception):
    pass


@pytest.mark.parametrize("at", [3, 16, 34])
def test_interrupted_anywhere_it_resumes_to_the_same_bits_and_the_base_is_as_it_was(
    base, data, tmp_path, monkeypatch, at
):
    monkeypatch.setattr(module, "CHECK_EVERY", 5)
    steps, before = Steps(12, 7, 18), hashes(base)
    straight, outcomes = finetune(base, data, tmp_path / "straight", steps, seed=1)
    draws = {name: getattr(EpisodeSet, name) for name in ("frame_pairs", "windows")}
    count = 0

    def interrupted(name):
        def draw(self, *arguments):
            nonlocal count
            count += arguments[-1].initial_seed() >= 10_000_019  # of a step, no held-out batch
            if count > at:
                raise Interruption
            return draws[name](self, *arguments)

        return draw

    with monkeypatch.context() as patch:
        for name in draws:
            patch.setattr(EpisodeSet, name, interrupted(name))
        with pytest.raises(Interruption):
            finetune(base, data, tmp_path / "run", steps, seed=1)
    resumed, again = finetune(base, data, tmp_path / "run", steps, seed=1)
    assert again == outcomes
    expected = straight.state_dict()
    for name, weight in resumed.state_dict().items():
        assert torch.equal(weight, expected[name]), name
    assert hashes(base) == before


@pytest.mark.parametrize("other", ["seed", "steps", "base", "data", "replay"])
def test_a_run_is_not_resumed_as_another_one(base, sets, data, write_scene, tmp_path, other):
    run, steps = tmp_path / "run", Steps(0, 0, 1)
    finetune(base, data, run, steps)
    arguments = {"base": base, "data": data, "steps": steps, "seed": 0}
    if other == "seed":
        changed, named = {"seed": 7}, "seed is 0 .* 7 now"
    elif other == "steps":
        changed, named = {"steps": Steps(0, 0, 2)}, "steps.dynamics is 1 .* 2 now"
    elif other == "base":
        model, card = load_checkpoint(base)
        model.dynamics.no_behavior.data += 1
        card = save_checkpoint(tmp_path / "other", model, card)
        changed, named = {"base": tmp_path / "other"}, f"base is .*'{card.sha256}' now"
    elif other == "data":
        folder = write_scene(tmp_path / "data", (1, 2, 3), 4, 2)
        train, held_out = (EpisodeSet(folder, split) for split in ("train", "validation"))
        changed = {"data": Demonstrations(train, held_out)}
        named = f"'{train.manifest_sha256}' now|episodes_sha256"
    else:
        changed, named = {"data": replace(data, replay=sets[0])}, "episodes_sha256"
    with pytest.raises(ValueError, match=f"run.json: .*({named})"):
        finetune(run=run, **(arguments | changed))


def test_episodes_that_do_not_fit_the_base_are_refused(base, data, write_scene, tmp_path):
    def refuse(match, **changes):
        folder = write_scene(tmp_path / match[:4], (9, 9, 9), 1, 1, **changes)
        new = EpisodeSet(folder, "train")
        with pytest.raises(ValueError, match=match):
            finetune(base, Demonstrations(new, data.held_out), tmp_path / "run", STEPS)

    refuse(r"at least 22 frames.*0.npz \(21\)", steps=20)
    refuse("48 x 48 pixels", size=48)
    with pytest.raises(ValueError, match="share of 1"):
        finetune(base, replace(data, share=1.0), tmp_path / "run", STEPS)
    assert not (tmp_path / "run").exists()


def test_of_a_large_model_only_what_is_added_is_trained(base, data, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LOW_RANK_FROM", 0)
    monkeypatch.setattr(low_rank, "RANK", 2)
    before = load_checkpoint(base)[0]
    after, _ = finetune(base, data, tmp_path / "run", Steps(0, 0, 5))
    learned = {
        name: weight - before.state_dict()[name]
        for name, weight in after.state_dict().items()
        if name.startswith("dynamics") and not torch.equal(weight, before.state_dict()[name])
    }
    assert learned
    for name, change in learned.items():  # but for rounding
        assert torch.linalg.matrix_rank(change, rtol=0.02) <= 2, name
    assert after.state_dict().keys() == before.state_dict().keys()
