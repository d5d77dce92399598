import numpy as np

from models.gate_facts import GateFacts
from pipeline.cli import main
from tests.models.fakes_of_generation import FakeClassifier, FakeGenerator
from tests.models.test_gate_facts import articles


def test_the_gate_is_written_beside_its_generator(tmp_path, monkeypatch, capsys):
    asked = []

    def load_articles(source, output):
        asked.append((source, output))
        return {"train": articles(60, 1), "development": articles(30, 2)}

    monkeypatch.setattr("models.datasets.articles.load_articles", load_articles)
    monkeypatch.setattr("pipeline.augmentation.generators.load_generator", lambda name: FakeGenerator())
    monkeypatch.setattr("pipeline.augmentation.generators.load_classifier", lambda name: FakeClassifier())
    generator = tmp_path / "g.keras"
    flags = ["--generator", str(generator), "--catalogue", "in", "--fit", "frame", "--work", str(tmp_path)]
    assert main(["train", "gate", *flags]) == 0
    path = tmp_path / "g.gate.npz"
    assert capsys.readouterr().out == f"{path}\n"
    assert np.array_equal(GateFacts.from_bytes(path.read_bytes()).category_names, FakeGenerator.category_names)
    (source, output) = asked[0]
    assert (source.size, source.fit, source.path, output) == (8, "frame", "in", str(tmp_path))
