# Launcher image of the Flex Template: the CPU worker's image, so that what pickles is what unpickles, with Google's
# launcher, which reads the parameters and calls launch.py.
# Build after the worker: docker build -f deploy/dataflow/launcher.Dockerfile --build-arg WORKER=packshot -t packshot-launcher .
ARG WORKER
FROM gcr.io/dataflow-templates-base/python311-template-launcher-base:20230622_RC00 AS launcher

FROM ${WORKER}
WORKDIR /opt/packshot
COPY deploy/dataflow/launch.py launch.py
COPY --from=launcher /opt/google/dataflow/python_template_launcher /opt/google/dataflow/python_template_launcher
ENV FLEX_TEMPLATE_PYTHON_PY_FILE=/opt/packshot/launch.py
# no USER: the service's launcher writes to folders of root's
ENTRYPOINT ["/opt/google/dataflow/python_template_launcher"]
