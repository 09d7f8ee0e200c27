"""Python's search for cycles, which stands still where a million objects are made."""

import gc

import pytest

from fairbench.system.collector import uncollected


@pytest.fixture(autouse=True)
def _nothing_set_aside():
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_nothing_is_looked_for_within_the_block():
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_at_the_end_of_a_process_what_is_there_is_set_aside_before_the_search_goes_on():
    with uncollected(ending=True):
        made = [[number] for number in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() > len(made)


def test_a_search_that_stood_still_before_stays_so():
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
