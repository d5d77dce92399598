# Worker image for Dataflow workers with an NVIDIA GPU. The driver comes from the host (install-nvidia-driver); the CUDA
# libraries are those that TensorFlow's own extra asks for, so that the base needs none of them.
# Build from the repository's root: docker build -f deploy/dataflow/gpu.Dockerfile -t packshot-gpu .
FROM apache/beam_python3.11_sdk:2.77.0 AS beam

FROM nvidia/cuda:12.5.1-base-ubuntu22.04
SHELL ["/bin/bash", "-o", "pipefail", "-c"]

# Python of the same minor version as in the launcher: Beam pickles functions there and loads them here.
# Versions of apt packages are not pinned: Ubuntu keeps the newest alone.
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates gnupg software-properties-common \
 && add-apt-repository --yes ppa:deadsnakes/ppa \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3.11 python3.11-venv \
 && apt-get purge --yes --auto-remove gnupg software-properties-common \
 && rm -rf /var/lib/apt/lists/* \
 && python3.11 -m venv /opt/venv
# Beam's boot program would otherwise make a fresh environment, without what is installed here
ENV PATH=/opt/venv/bin:$PATH \
    RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1

WORKDIR /opt/packshot
COPY constraints.txt setup.py pyproject.toml README.md ./
COPY pipeline pipeline
COPY transforms transforms
COPY models models
RUN pip install --no-cache-dir -c constraints.txt '.[gcp,aws,gpu]' && pip check

COPY --from=beam /opt/apache/beam /opt/apache/beam
# no USER: Dataflow mounts folders of root's for boot to write to
ENTRYPOINT ["/opt/apache/beam/boot"]
