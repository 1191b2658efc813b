"""Threads share a model: who goes first waits for a step at most, never for a whole rollout."""

import threading

import pytest

from whale_ros.imagination.right_of_way import Polite, Rank, RightOfWay

TIMEOUT_S = 20.0


class Steps:
    """A model that notes who stepped, and lets the test go on in the middle of a rollout."""

    name = "steps"

    def __init__(self) -> None:
        self.log: list[str] = []
        self.began = threading.Event()
        self.go_on = threading.Event()

    def step(self, who: str) -> None:
        self.log.append(who)
        if who == "PATIENT 0":
            self.began.set()
            assert self.go_on.wait(TIMEOUT_S)

    def step_together(self, who: str) -> None:
        self.log.append(who)


def wait_until(condition, *threads) -> None:
    while not condition():
        assert all(thread.is_alive() for thread in threads)


def test_those_who_go_first_pass_between_two_steps_of_the_others():
    way, model = RightOfWay(), Steps()

    def work(rank: Rank) -> None:
        polite = Polite(model, way, rank)
        with way.at(rank):
            for number in range(4):
                step = polite.step if number % 2 == 0 else polite.step_together
                step(f"{rank.name} {number}")

    threads = {rank: threading.Thread(target=work, args=(rank,), daemon=True) for rank in Rank}
    threads[Rank.PATIENT].start()
    assert model.began.wait(TIMEOUT_S)
    for rank in (Rank.PLAN, Rank.JUDGE):  # in the middle of the patient one's first step
        threads[rank].start()
        wait_until(lambda rank=rank: rank in way._waiting, threads[rank])
    assert way.is_imagining
    model.go_on.set()
    for thread in threads.values():
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()
    assert not way.is_imagining
    first, *others = model.log
    assert first == "PATIENT 0"
    ranks = [name.split()[0] for name in others]
    assert ranks == ["JUDGE"] * 4 + ["PLAN"] * 4 + ["PATIENT"] * 3


@pytest.mark.parametrize("holder", Rank)
def test_whoever_has_the_way_is_not_interrupted_within_a_step(holder):
    way, log = RightOfWay(), []

    def come(rank: Rank) -> None:
        with way.at(rank):
            log.append(rank)

    threads = [threading.Thread(target=come, args=(rank,), daemon=True) for rank in Rank]
    with way.at(holder):
        for rank, thread in zip(Rank, threads, strict=True):
            thread.start()
            wait_until(lambda rank=rank: rank in way._waiting, thread)
        assert log == []
    for thread in threads:
        thread.join(TIMEOUT_S)
    assert log == list(Rank)


def test_a_failure_gives_the_way_back():
    way = RightOfWay()
    for rank in Rank:
        with pytest.raises(ZeroDivisionError), way.at(rank):
            raise ZeroDivisionError
    with way.at(Rank.PATIENT):
        pass
    assert Polite(Steps(), way, Rank.PLAN).name == "steps"
