from pathlib import Path

from hydria.store.wake import WakeReceiver, WakeSender


def test_calls_are_heard_once_however_many(tmp_path: Path):
    path = tmp_path / "wake"
    with WakeReceiver(path) as receiver:
        sender = WakeSender(path)
        assert not receiver.wait(0)
        for _ in range(1000):  # more than the buffer holds: none may block
            sender.send()
        assert receiver.wait(5)
        assert not receiver.wait(0)
        sender.close()


def test_nobody_listens(tmp_path: Path):
    for path in (tmp_path / "nobody", None):
        sender = WakeSender(path)
        sender.send()
        sender.close()


def test_a_receiver_takes_a_dead_ones_place(tmp_path: Path):
    path = tmp_path / "wake"
    dead = WakeReceiver(path)
    with WakeReceiver(path) as receiver:
        sender = WakeSender(path)
        sender.send()
        assert receiver.wait(5)
        assert not dead.wait(0)
        sender.close()
    dead.close()
