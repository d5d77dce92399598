"""Beam's Prism: the same graph, the same bytes."""

from tests.runners.conftest import assert_same_bytes


def test_prism_leaves_the_same_bytes(prism, catalogue, direct, tmp_path):
    assert_same_bytes(direct, catalogue.run(tmp_path / "out", *prism))


def test_nothing_is_done_again_on_prism(prism, catalogue, tmp_path):
    first = catalogue.run(tmp_path / "out", *prism).run_json()
    second = catalogue.run(tmp_path / "out", *prism).run_json()
    assert second["unchanged"] == first["ready"] + first["review"]
    assert second["assets_written"] == 0
