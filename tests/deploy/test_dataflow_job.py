"""The job as Dataflow gets it: written down by Beam's own runner and client, staged to a storage server.

Real are planning, the graph, ``DataflowRunner``'s changes to it, its client's job and the upload; missing is the
service that would take the job.
"""

import json
import pathlib

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import translations

from deploy.dataflow.launch import as_flags
from models.handlers import SegmentationHandler
from models.registry import resolve_model
from pipeline.cli import main
from pipeline.markers import runs_in_progress
from pipeline.refresh import RUN_NAME
from pipeline.samples import render_samples
from tests import emulators
from tests.pipeline.test_graph import PIXEL_STEPS

pytest.importorskip("apache_beam.runners.dataflow.internal.apiclient")

IMAGE = "europe-west4-docker.pkg.dev/shop/packshot/worker-gpu:1.0"
GPU = "type:nvidia-l4;count:1;install-nvidia-driver"
GIGABYTES = 16
MODEL = "gs://shop/models/packshot-seg.tflite"
PARAMETERS = {
    "segmentation_model": MODEL,
    "full_refresh": "true", "blur_faces": "false", "background": "", "accelerator": GPU, "min_ram": f"{GIGABYTES}GB",
    "runner": "DataflowRunner", "project": "shop-catalogue", "region": "europe-west4", "job_name": "packshot-1",
    "temp_location": "gs://shop/tmp", "staging_location": "gs://shop/staging", "sdk_container_image": IMAGE,
    "sdk_location": "container", "max_num_workers": "20", "machine_type": "n2-standard-4", "no_use_public_ips": None,
    "service_account_email": "packshot-worker@shop-catalogue.iam.gserviceaccount.com", "no_auth": None,
    "experiments": "shuffle_mode=service",
}  # fmt: skip


class Job:
    """A job that was launched from the template.

    Attributes:
      status: of the launcher.
      request: the content of the file that the launcher left for the service.
      graph: the pipeline that was staged for it.
      output: names of the files in the output folder.
    """

    def __init__(self, folder, client):
        template = folder / "job_object"
        values = {"input": str(folder / "photos" / "images"), "output": "gs://shop/out", **PARAMETERS}
        flags = [f"--{name}" if value is None else f"--{name}={value}" for name, value in values.items()]
        self.status = main(["run", *as_flags([*flags, f"--template_location={template}"])])
        self.request = json.loads(template.read_text())
        self.output = sorted(blob.name for blob in client.list_blobs("shop", prefix="out/"))
        (staged,) = (blob for blob in client.list_blobs("shop", prefix="staging/") if blob.name.endswith("pipeline.pb"))
        self.graph = beam_runner_api_pb2.Pipeline.FromString(staged.download_as_bytes())
        self.in_progress = runs_in_progress("gs://shop/out", within=60)

    def hints(self, transform):
        """Returns the resource hints of a transform, by the last word of their names."""
        environment = self.graph.components.environments[transform.environment_id]
        return {urn.split(":")[2]: value.decode() for urn, value in environment.resource_hints.items()}

    def steps(self, *names):
        """Returns the graph's elementary transforms that belong to these steps."""
        found = [t for t in self.graph.components.transforms.values() if t.unique_name.split("/")[0] in names]
        return [t for t in found if not t.subtransforms and t.environment_id]


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataflow")
    render_samples(folder / "photos", count=2, seed=4)
    before = FileSystems._pipeline_options
    with emulators.gs_server("shop") as (_, client):
        client.bucket("shop").blob(MODEL.split("/", 3)[3]).upload_from_filename(resolve_model().path)
        yield Job(folder, client)
    FileSystems.set_options(before)


def test_launcher_ends_before_the_job_and_leaves_the_run_marked(job):
    assert job.status == 0
    (name,) = job.output
    run = pathlib.PurePosixPath(name).parts[2]
    assert name == f"out/runs/{run}/started.json" and RUN_NAME.fullmatch(run)
    assert list(job.in_progress) == [run]


def test_job_asks_for_the_machines_that_were_named(job):
    (pool,) = job.request["environment"]["workerPools"]
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 20
    assert pool["machineType"] == PARAMETERS["machine_type"]
    assert pool["ipConfiguration"] == "WORKER_IP_PRIVATE"
    assert {image["containerImage"] for image in pool["sdkHarnessContainerImages"]} == {IMAGE}
    environment = job.request["environment"]
    assert environment["serviceAccountEmail"] == PARAMETERS["service_account_email"]
    assert "shuffle_mode=service" in environment["experiments"]
    assert job.request["type"] == "JOB_TYPE_BATCH"


def test_workers_install_nothing_and_run_the_image(job):
    for environment in job.graph.components.environments.values():
        payload = beam_runner_api_pb2.DockerPayload.FromString(environment.payload)
        assert payload.container_image == IMAGE
        staged = [
            beam_runner_api_pb2.ArtifactStagingToRolePayload.FromString(artifact.role_payload).staged_name
            for artifact in environment.dependencies
        ]
        assert set(staged) <= {"pickled_main_session", "submission_environment_dependencies.txt"}  # the last is a note


def test_every_step_that_holds_pixels_asks_for_the_accelerator_and_no_other(job):
    held = job.steps(*PIXEL_STEPS)
    assert {t.unique_name.split("/")[0] for t in held} == set(PIXEL_STEPS) - {"FindAnomalies"}  # only if asked for
    expected = {"accelerator": GPU, "min_ram_bytes": str(GIGABYTES * 10**9)}
    assert all(job.hints(t) == expected for t in held), [t.unique_name for t in held if job.hints(t) != expected]
    light = job.steps("ListWork", "LookAtPhotos", "WriteCatalogue", "FindNearDuplicates", "Commit")
    assert light and not any(job.hints(t) for t in light)


def test_pixels_cross_no_shuffle_on_dataflow_either(job):
    """Fused as a portable runner fuses: steps that ask for different workers stay apart."""
    primitives = translations.common_urns.primitives
    _, stages = translations.create_and_optimize_stages(
        job.graph,
        phases=translations.standard_optimize_phases(),
        known_runner_urns=frozenset([primitives.GROUP_BY_KEY.urn, primitives.IMPULSE.urn]),
    )
    holders = {
        number
        for number, stage in enumerate(stages)
        for t in stage.transforms
        if t.unique_name.split("/")[0] in PIXEL_STEPS and not t.unique_name.endswith("/MergeRejections")
    }
    assert len(holders) == 1
    assert stages[holders.pop()].environment


def test_workers_load_the_model_from_the_bucket(job):
    assert SegmentationHandler(MODEL, sha256=resolve_model().sha256).load_model().size == resolve_model().size


def test_graph_is_far_from_the_limit(job):
    assert job.graph.ByteSize() < 1_000_000
