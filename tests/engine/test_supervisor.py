"""What the supervisor decides. With real processes: tests/chaos/test_drains.py."""

import signal

import pytest

from apps.core import heart
from apps.engine import posts, supervisor
from apps.engine.posts import DrainPost, Post
from apps.engine.supervisor import HANGS, OVERSLEPT, Supervisor


class Now:
    def __init__(self):
        self.at = 1000.0

    def __call__(self):
        return self.at


@pytest.fixture
def now(monkeypatch):
    made = Now()
    for module in (posts, supervisor, heart):
        monkeypatch.setattr(module, "monotonic", made)
    return made


@pytest.fixture
def forked(monkeypatch):
    """The names of what was started, each with the number of its turn as its process id."""
    started = []
    monkeypatch.setattr(
        Supervisor, "_fork", lambda self, main: started.append(main.__qualname__) or len(started)
    )
    return started


@pytest.fixture
def killed(monkeypatch):
    pids = []
    monkeypatch.setattr(supervisor.os, "kill", lambda pid, number: pids.append((pid, number)))
    return pids


@pytest.fixture
def works(now, forked):
    """Two drains and the cluster, just started: processes 2, 3 and 1."""
    made = Supervisor(2)
    made._fill()
    assert len(forked) == 3
    for post in made._posts[1:]:
        post.slot.beat.value = now.at
        post.slot.owner = f"owner-{post.pid}"
    return made


def looks(works, now, seconds):
    """Let time pass, with a look every second."""
    for _ in range(int(seconds)):
        now.at += 1
        works._look()


def test_what_ends_again_and_again_is_started_ever_more_slowly(now):
    post, waits = Post(), []
    for _ in range(7):
        post.begin()
        post.ended("died")
        waits.append(post.wait())
        now.at += waits[-1]
    assert waits == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5, 5])
    post.begin()
    now.at += 30
    post.ended("died")
    assert post.wait() == pytest.approx(0.2)


def test_a_drain_that_ends_is_replaced_alone_and_what_it_held_given_back(works, now, forked):
    works._note_end(works._posts[1], -signal.SIGKILL)
    assert forked[3:] == ["DrainPost.give_back"]
    works._fill()
    assert len(forked) == 4  # not before the pause is over
    now.at += 0.2
    works._fill()
    assert forked[4:] == ["DrainPost.main"]
    assert [post.pid for post in works._posts] == [1, 5, 3]


def test_who_was_on_watch_when_it_died_is_not_any_more(works):
    drain, other = works._posts[1:]
    assert drain.watch.take(drain.seat)
    works._note_end(drain, 1)
    assert drain.watch.take(other.seat)


def test_a_drain_without_a_sign_of_life_is_killed(works, now, killed):
    looks(works, now, HANGS)
    assert killed == []
    works._posts[1].slot.beat.value = now.at
    looks(works, now, 1)
    assert killed == [(3, signal.SIGKILL)]


def test_who_was_stopped_with_the_supervisor_does_not_hang(works, now, killed):
    looks(works, now, 1)
    now.at += HANGS * 2  # a laptop that was closed, a stopped container
    assert HANGS > OVERSLEPT
    looks(works, now, HANGS - 1)
    assert killed == []
    looks(works, now, 3)
    assert {pid for pid, _ in killed} == {2, 3}


def test_the_place_of_a_drain_that_leaves_goes_to_another_at_once(works, now, forked):
    leaving = works._posts[1]
    leaving.slot.leaves.value = 1
    works._look()
    works._look()
    works._fill()
    assert forked[3:] == ["DrainPost.main"]
    assert works._below() == {1, 2, 3, 4}
    works._note_end(leaving, 0)
    assert works._below() == {1, 3, 4}
    works._fill()
    assert len(forked) == 4


def test_what_can_not_be_started_is_tried_again(now, monkeypatch):
    def no_memory(self, main):
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(Supervisor, "_fork", no_memory)
    works = Supervisor(1)
    works._fill()
    assert works._below() == set()
    assert [post.wait() for post in works._posts] == pytest.approx([0.2, 0.2])


def test_nothing_is_started_when_asked_to_stop(works, now, forked):
    works._asked_to_stop(signal.SIGTERM, None)
    works._note_end(works._posts[1], 0)
    works._fill()
    assert len(forked) == 3


def test_a_heart_beats_where_somebody_looks(now, monkeypatch):
    monkeypatch.setattr(heart, "_shown", None)
    heart.beat()
    post = DrainPost(0, None)
    heart.show(post.slot.beat)
    now.at += 5
    heart.beat()
    assert post.lives_since() == now.at
