# raysim with PyTorch for the CPU. Build: docker build -t raysim .
# Run: docker run --rm -v "$PWD/results:/home/raysim/results" raysim sweep
# Images and weights of your own: -v /where/they/lie:/data -e RAYSIM_DATA=/data
# `mkdir -p results` first, writable for user 1000: a folder that Docker makes belongs to root.
# With a GPU, leave the first RUN with its comment out and add --gpus all to `docker run`.
FROM python:3.11-slim
ENV PIP_NO_CACHE_DIR=1 PIP_CONSTRAINT=/src/constraints.txt PIP_BUILD_CONSTRAINT=/src/constraints.txt \
    RAYSIM_CACHE=/home/raysim/cache
COPY . /src
# PyTorch and torchvision belong together: one index, one command, the versions of constraints.txt
RUN pip install --no-deps --index-url https://download.pytorch.org/whl/cpu torch torchvision
# KubeRay submits jobs through Ray's dashboard, and asks with wget whether a node is well
RUN pip install /src "ray[default]" \
    && apt-get update && apt-get install --yes --no-install-recommends wget && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 raysim \
    && mkdir -p /home/raysim/results /home/raysim/cache && chown -R raysim /home/raysim
USER raysim
WORKDIR /home/raysim
ENTRYPOINT ["raysim"]
CMD ["--help"]
