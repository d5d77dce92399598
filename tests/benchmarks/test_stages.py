from tests.benchmarks.stages import by_function, by_line, read_stacks

_STACKS = """<module> (x/pipeline/__main__.py:8);DataInputOperation.process_encoded (apache_beam/b.py:1);\
_PhotoDoFn.process (transforms/stage.py:20);matte_photo (transforms/matte.py:5);solve (transforms/band.py:7) 3
DataInputOperation.process_encoded (apache_beam/b.py:1);encode (apache_beam/coders.py:9) 2
<module> (x/pipeline/__main__.py:8);imports (pipeline/cli.py:3) 9
""".replace("\\\n", "")


def test_samples_are_counted_by_stage_and_by_line(tmp_path):
    path = tmp_path / "stacks.txt"
    path.write_text(_STACKS)
    stacks = read_stacks(path)
    assert by_function(stacks) == {"matte_photo, transforms/matte.py": 3, "Beam": 2}
    assert by_line(stacks) == {"solve (transforms/band.py:7)": 3}
