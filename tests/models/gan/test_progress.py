import numpy as np

from models.gan.progress import alarms, coarse_coverage


def test_coverage_is_high_for_the_same_kind_and_low_for_one_picture_over_and_over():
    rng = np.random.default_rng(0)
    kind = [rng.integers(0, 256, (60, 1, 1, 3)).repeat(16, 1).repeat(16, 2).astype(np.uint8) for _ in range(2)]
    assert coarse_coverage(kind[0], kind[1]) > 0.8
    assert coarse_coverage(kind[0], np.repeat(kind[1][:1], 60, axis=0)) < 0.2


def test_alarms_name_the_network_and_what_is_wrong():
    well = {"generator": 1.0, "discriminator": 1.0}
    assert alarms(well, 0.5) == []
    assert alarms({**well, "generator": 1e-9}, 0.5) == ["the generator's gradients vanish"]
    assert alarms({**well, "discriminator": float("nan")}, 0.5) == ["the discriminator's gradients explode"]
    assert "mode collapse" in alarms(well, 0.01)[0]
