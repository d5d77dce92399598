"""The scheduled workflows: well-formed as Google's reference describes it, and of one mind with ``packshot run``."""

import json
import os
import pathlib
import re
import subprocess
import types

import pytest
import yaml

from pipeline.ledger import Ledger, exit_status

SCHEDULE = pathlib.Path(__file__).parents[2] / "deploy" / "schedule"
METADATA = SCHEDULE.parent / "dataflow" / "metadata.json"

KEYWORDS = {
    "assign": set(),
    "call": {"args", "result"},
    "switch": {"next"},
    "try": {"retry", "except"},
    "parallel": set(),
    "return": set(),
    "raise": set(),
}
LIBRARY = {"http.get", "http.post", "sys.log", "sys.sleep",
           "googleapis.workflowexecutions.v1.projects.locations.workflows.executions.run"}  # fmt: skip
FUNCTIONS = {"default", "int", "string", "len", "sys.get_env", "sys.now", "map.get", "list.concat", "text.split",
             "text.replace_all", "text.substring", "text.url_encode", "json.encode_to_string"}  # fmt: skip


@pytest.fixture(params=["nightly", "backfill"])
def workflow(request):
    return yaml.safe_load((SCHEDULE / f"{request.param}.yaml").read_text())


def strings(value):
    if isinstance(value, dict):
        for member in value.values():
            yield from strings(member)
    elif isinstance(value, list):
        for member in value:
            yield from strings(member)
    elif isinstance(value, str):
        yield value


def walk(steps):
    """Yields (name, step) of a list of steps and of those within it."""
    for entry in steps:
        ((name, step),) = entry.items()
        yield name, step
        inner = [step.get("parallel", {}).get("for", {}), *step.get("switch", ()), step.get("except", {})]
        inner.append(step.get("try", {}))
        for block in inner:
            yield from walk(block.get("steps", ()))


def test_steps_are_of_one_kind_and_lead_to_others(workflow):
    for name, sub in workflow.items():
        found = list(walk(sub["steps"]))
        names = [step for step, _ in found]
        assert len(set(names)) == len(names), name
        for label, step in found:
            (kind,) = step.keys() & KEYWORDS.keys()
            assert step.keys() <= {kind, *KEYWORDS[kind]}, label
            targets = [step["next"]] if "next" in step else []
            targets += [case["next"] for case in step.get("switch", ()) if "next" in case]
            assert set(targets) <= {*names, "end"}, label


def test_what_is_called_is_there_and_gets_its_parameters(workflow):
    for sub in workflow.values():
        calls = [step for _, step in walk(sub["steps"]) if "call" in step]
        calls += [step["try"] for _, step in walk(sub["steps"]) if "call" in step.get("try", {})]
        for call in calls:
            if call["call"] in LIBRARY:
                continue
            assert call["args"].keys() == set(workflow[call["call"]]["params"])
            assert call["call"] in workflow


def test_expressions_close_and_use_the_standard_library(workflow):
    for text in strings(workflow):
        if not text.startswith("$"):
            continue
        assert text.startswith("${") and text.endswith("}") and text.count("(") == text.count(")"), text
        code = re.sub(r'"[^"]*"', '""', text)
        assert set(re.findall(r"([a-z_.]+)\(", code)) <= FUNCTIONS, text
        assert "{" not in code[2:], "literals of maps are for assign"


def judged(**counts):
    """Returns what the nightly workflow says of a run, by its own conditions, and None where it finds nothing."""
    workflow = yaml.safe_load((SCHEDULE / "nightly.yaml").read_text())
    (judge,) = (step for name, step in walk(workflow["one_run"]["steps"]) if name == "judge")
    run = types.SimpleNamespace(name="b", config=types.SimpleNamespace(max_rejected_fraction=0.05), **counts)
    names = {"run": run, "last": types.SimpleNamespace(name="a"), "null": None, "string": str,
             "order": types.SimpleNamespace(output="gs://shop/out")}  # fmt: skip
    for case in judge["switch"]:
        if eval(case["condition"][2:-1], {}, names):
            return eval(case["raise"][2:-1], {}, names)
    return None


@pytest.mark.parametrize("rejected", [0, 5, 6, 100])
def test_workflow_fails_where_the_command_ends_with_status_3(rejected):
    counts = {"read": 100, "ready": 100 - rejected, "review": 0, "rejected": rejected}
    said = judged(**counts)
    assert (said is not None) == (exit_status(Ledger(**counts), 0.05) == 3)
    assert said is None or said.endswith("(status 3)")


def test_workflow_fails_where_the_ledger_does_not_balance():
    assert judged(read=10, ready=9, review=0, rejected=0) == "the ledger of b does not balance (status 1)"


def test_example_is_what_the_template_takes():
    types_ = pytest.importorskip("google.cloud.dataflow_v1beta3.types")
    order = json.loads((SCHEDULE / "order.example.json").read_text())
    known = {parameter["name"] for parameter in json.loads(METADATA.read_text())["parameters"]}
    assert order["parameters"].keys() <= known
    assert all(isinstance(value, str) for value in order["parameters"].values())
    environment = types_.FlexTemplateRuntimeEnvironment.from_json(json.dumps(order["environment"]))
    assert environment.max_workers == 20  # the cost guard


def test_deploying_lets_the_schedule_read_what_the_order_names(tmp_path):
    said = tmp_path / "said"
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(f'#!/bin/sh\necho "$*" >> {said}\n')
    gcloud.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PROJECT": "shop", "REGION": "europe-west4", "CHANNEL": "c", "ORDER": str(SCHEDULE / "order.example.json"),
    }  # fmt: skip
    subprocess.run(["bash", SCHEDULE / "deploy.sh"], env=environment, check=True, capture_output=True)
    granted = [line.split() for line in said.read_text().splitlines() if "buckets add-iam-policy-binding" in line]
    assert [words[3] for words in granted] == ["gs://PROJECT-packshot", "gs://shop-catalogue", "gs://shop-pictures"]
    for words in granted:
        assert words[4:] == [
            "--member", "serviceAccount:packshot-scheduler@shop.iam.gserviceaccount.com",
            "--role", "roles/storage.objectViewer",
        ]  # fmt: skip


def test_alert_looks_for_what_the_workflow_logs():
    (condition,) = json.loads((SCHEDULE / "alert-policy.json").read_text())["conditions"]
    said = yaml.safe_load((SCHEDULE / "nightly.yaml").read_text())["main"]["steps"][0]["guarded"]["except"]["steps"]
    logged = said[0]["tell"]["args"]
    assert f'severity="{logged["severity"]}"' in condition["conditionMatchedLog"]["filter"]
    assert f'jsonPayload.alert="{logged["json"]["alert"]}"' in condition["conditionMatchedLog"]["filter"]
