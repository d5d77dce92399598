"""What all tests share: the order in which they are handed to workers, and graphs that are built in less time."""

import weakref

import hypothesis
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms import userstate

# The same examples in every run: a change is judged by what it changes. ``make fuzz`` draws new ones.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.register_profile("searching", deadline=None)
hypothesis.settings.load_profile("repeatable")

# Files and folders of the longest tests, longest first: for what is begun last, the other workers wait idly.
_LONG = ("models/segmentation/test_train.py", "integration/", "hostile/", "faults/", "models/")


def pytest_collection_modifyitems(items):
    def rank(item):
        path = item.nodeid.removeprefix("tests/")
        return next((number for number, long in enumerate(_LONG) if path.startswith(long)), len(_LONG))

    items.sort(key=rank)


@pytest.fixture(scope="module")
def eager():
    """TensorFlow compiles nothing: of a few steps the graph costs more than it spares."""
    import tensorflow as tf  # too long an import for tests without it

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session", autouse=True)
def remembered_by_beam():
    """Has Beam work out once what it works out anew for every step of a graph: half the time of a run of few photos.

    These are views of options, for each of which it builds a parser of arguments, and the state that a DoFn keeps,
    for which it inspects all of its methods. The command remembers views by itself (``RememberingOptions``), pipelines
    that tests build do not; DoFns are inspected anew by every run in a process of its own.
    """
    views: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
    specs: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
    view_as, get_dofn_specs = PipelineOptions.view_as, userstate.get_dofn_specs

    def view_as_before(self, cls):
        known = views.setdefault(self, {})
        if cls not in known or known[cls]._all_options is not self._all_options:
            known[cls] = view_as(self, cls)
        return known[cls]

    def specs_as_before(dofn):
        if dofn not in specs:
            specs[dofn] = get_dofn_specs(dofn)
        return specs[dofn]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PipelineOptions, "view_as", view_as_before)
        patch.setattr(userstate, "get_dofn_specs", specs_as_before)
        yield
