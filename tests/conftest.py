"""A test run ends with its result."""

import gc

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Remove, at the end, callbacks that were added to the garbage collector during the run.

    Hypothesis leaves a callback in `gc.callbacks`, a list that Python empties only after everything else. Through its
    module, which pytest loads, the callback holds pytest's configuration, the session and with it every test function
    and fixture. Those whose annotations name a class of DuckDB keep the whole binding, which then reports its
    instances, types and functions as leaked.
    """
    callbacks = gc.callbacks.copy()

    def restore() -> None:
        gc.callbacks[:] = callbacks

    config.add_cleanup(restore)
