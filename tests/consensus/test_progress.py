"""What a leader believes of a follower."""

from coco_core.consensus.raft.progress import Progress


def test_sending_moves_the_guess_on_and_fills_the_window() -> None:
    progress = Progress(next_index=5)
    progress.sent(7)
    progress.sent(9)
    assert (progress.next_index, progress.match_index, progress.in_flight_count) == (10, 0, 2)
    assert progress.may_send(3)
    assert not progress.may_send(2)


def test_an_acknowledgement_frees_the_window_up_to_its_index() -> None:
    progress = Progress(next_index=5)
    for last in (6, 8, 10):
        progress.sent(last)
    assert progress.acknowledged(8)
    assert (progress.match_index, progress.next_index, progress.in_flight_count) == (8, 11, 1)


def test_an_acknowledgement_beyond_the_guess_moves_it() -> None:
    progress = Progress(next_index=2)
    assert progress.acknowledged(7)
    assert progress.next_index == 8


def test_an_old_acknowledgement_is_no_news() -> None:
    progress = Progress(next_index=9, match_index=8)
    assert not progress.acknowledged(8)
    assert not progress.acknowledged(3)
    assert progress.match_index == 8


def test_a_rejection_goes_back_to_the_hint_and_probes() -> None:
    progress = Progress(next_index=20)
    progress.sent(25)
    assert progress.rejected(19, 11)
    assert (progress.next_index, progress.probing, progress.in_flight_count) == (12, True, 0)
    assert progress.may_send(16)
    progress.sent(14)
    assert not progress.may_send(16), "one append at a time while probing"
    progress.acknowledged(11)
    assert not progress.probing
    assert progress.may_send(16)


def test_a_rejection_never_goes_below_what_is_known_and_always_goes_back() -> None:
    progress = Progress(next_index=20, match_index=15)
    assert progress.rejected(19, 3)
    assert progress.next_index == 16
    progress = Progress(next_index=20)
    assert progress.rejected(19, 99)
    assert progress.next_index == 19


def test_a_rejection_of_what_is_known_to_match_is_stale() -> None:
    progress = Progress(next_index=20, match_index=15)
    assert not progress.rejected(15, 3)
    assert not progress.probing


def test_only_the_answer_to_the_probe_counts_while_probing() -> None:
    progress = Progress(next_index=20)
    assert progress.rejected(19, 10)
    progress.sent(12)
    assert not progress.rejected(17, 9), "an answer to an append of the lost window"
    assert progress.rejected(10, 5), "the answer to the probe"
    assert progress.next_index == 6
    progress.sent(8)
    assert progress.rejected(8, 4), "the answer to a heartbeat sent behind the probe"
