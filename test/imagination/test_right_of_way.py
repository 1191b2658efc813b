"""Two threads share a model: the urgent one waits for a step at most, never for a whole rollout."""

import threading

from whale_ros.imagination.right_of_way import Polite, RightOfWay

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
        if who == "patient 0":
            self.began.set()
            assert self.go_on.wait(TIMEOUT_S)

    def step_together(self, who: str) -> None:
        self.log.append(who)


def waiting(way: RightOfWay) -> bool:
    return way._urgent_waits


def test_the_urgent_thread_passes_between_two_steps_of_the_patient_one():
    way, model = RightOfWay(), Steps()
    polite = Polite(model, way)

    def imagine() -> None:
        with way.patient():
            for number in range(4):
                (polite.step if number % 2 == 0 else polite.step_together)(f"patient {number}")

    def judge() -> None:
        with way.urgent():
            model.step_together("urgent 0")
            model.step_together("urgent 1")

    threads = [threading.Thread(target=work, daemon=True) for work in (imagine, judge)]
    threads[0].start()
    assert model.began.wait(TIMEOUT_S)
    threads[1].start()
    while not waiting(way):
        assert threads[1].is_alive()
    assert way.patient_is_here
    model.go_on.set()
    for thread in threads:
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()
    assert not way.patient_is_here
    assert model.log == ["patient 0", "urgent 0", "urgent 1", "patient 1", "patient 2", "patient 3"]


def test_the_patient_thread_waits_for_the_end_of_the_urgent_one():
    way, log = RightOfWay(), []

    def imagine() -> None:
        with way.patient():
            log.append("patient")

    with way.urgent():
        thread = threading.Thread(target=imagine, daemon=True)
        thread.start()
        thread.join(0.05)
        assert thread.is_alive()
        log.append("urgent")
    thread.join(TIMEOUT_S)
    assert log == ["urgent", "patient"]


def test_a_failure_gives_the_way_back():
    way = RightOfWay()
    for take in (way.urgent, way.patient):
        try:
            with take():
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
    with way.patient():
        pass
    assert Polite(Steps(), way).name == "steps"
