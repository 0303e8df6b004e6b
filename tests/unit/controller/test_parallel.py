import threading

from hydria.controller.parallel import both, together


def test_instant_calls_are_made_in_turn_by_the_caller():
    seen: list[int] = []

    def call(number: int) -> threading.Thread:
        seen.append(number)
        return threading.current_thread()

    calls = [lambda number=number: call(number) for number in range(5)]
    assert set(together(calls, instant=True)) == {threading.current_thread()}
    assert seen == [0, 1, 2, 3, 4]
    assert both(lambda: 1, lambda: "2", instant=True) == (1, "2")


def test_others_are_made_at_the_same_time():
    meeting = threading.Barrier(3, timeout=30)
    assert len(together([meeting.wait] * 3)) == 3
