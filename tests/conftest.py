"""The order in which files of tests are handed to workers."""

# Files and folders of the longest tests, longest first: for what is begun last, the other workers wait idly.
_LONG = ("models/segmentation/test_train.py", "integration/", "hostile/", "faults/", "models/")


def pytest_collection_modifyitems(items):
    def rank(item):
        path = item.nodeid.removeprefix("tests/")
        return next((number for number, long in enumerate(_LONG) if path.startswith(long)), len(_LONG))

    items.sort(key=rank)
