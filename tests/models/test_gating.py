import dataclasses

import numpy as np
import pytest

from models.gate_facts import GateFacts, nearest_distances
from models.gating import BATCH, Gate, GatedGenerator, GateSettings, draw_seed
from models.handlers.generation import GenerationHandler, GenerationRequest
from tests.models.fakes_of_generation import CATEGORIES, COLOURS, FakeClassifier, FakeGenerator

# real pictures have a blue of 100 or 200; unseen ones are from 4 to 40 levels away from these
FACTS = GateFacts(
    FakeGenerator.sha256, FakeClassifier.sha256, CATEGORIES, np.array([[1, 0], [0, 1], [1, 1]], np.float32),
    np.array([[100.0], [200.0]], np.float32), np.linspace(4, 40, 100).astype(np.float32),
    np.linspace(0.1, 0.9, 81).astype(np.float32), np.linspace(0, 1, 251).astype(np.float32),
)  # fmt: skip
STRICT = GateSettings(score_quantile=0.2, nearest_quantile=0.01, furthest_quantile=1.0)


def gated(settings=STRICT, facts=FACTS, generator=None):
    return GatedGenerator(generator or FakeGenerator(), Gate(settings, facts, FakeClassifier()), facts)


@pytest.mark.parametrize(
    ("seed", "refused"),
    [(100, "memorised"), (203, "memorised"), (30, "low_score"), (150, "off_manifold"), (90, None), (210, None)],
)
def test_each_picture_is_judged(seed, refused):
    ((draw,),) = gated().draw([("hat", (seed,))])
    assert draw.refused == refused
    assert draw.scores.discriminator == pytest.approx(seed / 250)
    assert draw.scores.class_probability == pytest.approx(0.9)
    assert draw.scores.nearest == min(abs(seed - 100), abs(seed - 200))


def test_another_category_than_asked_for_is_refused():
    generator = FakeGenerator()
    generator.sample = lambda seeds, categories, colours: FakeGenerator().sample(seeds, 0 * categories, colours)
    ((draw,),) = gated(generator=generator).draw([("hat", (90,))])
    assert draw.refused == "other_category" and draw.scores.class_probability == pytest.approx(0.05)


def test_refused_pictures_are_replaced_until_one_passes_or_the_draws_are_used_up():
    drawn = gated().draw([("hat", (100, 150, 90, 91)), ("shirt", (100, 101, 102)), ("boots", (95, 1))])
    assert [[draw.refused for draw in draws] for draws in drawn] == [
        ["memorised", "off_manifold", None], ["memorised", "memorised", "memorised"], [None],
    ]  # fmt: skip


def test_a_picture_does_not_depend_on_what_else_is_drawn():
    wanted = [(CATEGORIES[n % 3], tuple(draw_seed(n, d) for d in range(4))) for n in range(BATCH + 9)]
    together = gated().draw(wanted)
    for index in (0, 5, BATCH + 8):
        (alone,) = gated().draw([wanted[index]])
        assert [(d.seed, d.refused, d.colour) for d in alone] == [
            (d.seed, d.refused, d.colour) for d in together[index]
        ]
        assert all(np.array_equal(a.image, b.image) for a, b in zip(alone, together[index], strict=True))


def test_colours_are_those_of_real_products():
    seeds = [(draw_seed(n),) for n in range(200)]
    colours = {
        name: [draws[0].colour for draws in gated(GateSettings(open=True)).draw([(name, s) for s in seeds])]
        for name in CATEGORIES
    }
    assert set(colours["boots"]) == {COLOURS[0]} and set(colours["hat"]) == {COLOURS[1]}
    assert 70 < colours["shirt"].count(COLOURS[0]) < 130


def test_an_open_gate_lets_everything_pass():
    ((draw,),) = GatedGenerator(FakeGenerator(), Gate(GateSettings(open=True), None, None), None).draw(
        [("hat", (100,))]
    )
    assert draw.refused is None and draw.scores.nearest is None


def test_a_generator_without_a_discriminator_is_not_asked_for_scores():
    facts = dataclasses.replace(FACTS, scores=np.zeros(0, np.float32))
    ((draw,),) = gated(facts=facts).draw([("hat", (80,))])
    assert draw.refused is None and draw.scores.discriminator is None


def test_facts_survive_their_file():
    again = GateFacts.from_bytes(FACTS.to_bytes())
    for field in dataclasses.fields(GateFacts):
        assert np.array_equal(getattr(again, field.name), getattr(FACTS, field.name)), field.name
    with pytest.raises(ValueError, match="no gate file"):
        GateFacts.from_bytes(b"PK\3\4 and no more")
    with pytest.raises(ValueError, match="no gate file"):
        GateFacts.from_bytes(b"")


def test_facts_of_another_classifier_are_refused():
    with pytest.raises(ValueError, match="features of the classifier 0000"):
        Gate(STRICT, dataclasses.replace(FACTS, classifier_sha256="0" * 64), FakeClassifier())


def test_nearest_distances_are_those_of_the_definition():
    draw = np.random.default_rng(0)
    some, real = draw.normal(size=(30, 5)), draw.normal(size=(40, 5))
    wanted = np.sqrt(((some[:, None] - real[None]) ** 2).sum(axis=2)).min(axis=1)
    np.testing.assert_allclose(nearest_distances(some, real), wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"class_quantile": -1}, "class_quantile=-1 must lie between 0 and 1"),
        ({"score_quantile": 2}, "score_quantile=2 must lie between 0 and 1"),
        ({"nearest_quantile": 0.9, "furthest_quantile": 0.5}, "nearest_quantile=0.9 must not be above"),
        ({"max_draws": 0}, "max_draws=0 must be from 1 to 64"),
    ],
)
def test_wrong_settings_are_named(settings, says):
    with pytest.raises(ValueError, match=says):
        GateSettings(**settings)


def test_a_batch_on_which_the_generator_fails_comes_back_refused(caplog):
    def fails(*_):
        raise RuntimeError("no memory")

    generator = FakeGenerator()
    generator.sample = fails
    handler = GenerationHandler(lambda: gated(generator=generator))
    ((draw,),) = handler.run_inference([GenerationRequest("hat", (1, 2))], handler.load_model())
    assert draw.refused == "generation_failed" and draw.image is None and draw.seed == 1
    assert "no memory" in caplog.text
