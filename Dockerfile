# One image for every part of a cluster: `serve`, `worker`, `migrate` (see compose.yaml).
FROM python:3.12-slim AS build
# Extras of pyproject.toml to install besides the base, separated by commas: torch, llm
ARG EXTRAS=""
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY service service
COPY loaders loaders
COPY stores stores
RUN python -m venv /opt/ragstone \
    && /opt/ragstone/bin/pip install --no-cache-dir ".${EXTRAS:+[$EXTRAS]}"

FROM python:3.12-slim
RUN useradd --uid 10001 --home-dir /home/ragstone --create-home --shell /usr/sbin/nologin ragstone \
    && install -d -o ragstone -g ragstone -m 0700 /data
# Debian packages of the program that reads pictures and scanned pages, further languages too (tesseract-ocr-deu); may
# be empty
ARG TESSERACT="tesseract-ocr"
RUN if [ -n "$TESSERACT" ]; then \
        apt-get update && apt-get install -y --no-install-recommends $TESSERACT && rm -rf /var/lib/apt/lists/*; \
    fi
COPY --from=build /opt/ragstone /opt/ragstone
ENV PATH=/opt/ragstone/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    RAGSTONE_DATA=/data \
    RAGSTONE_HOST=0.0.0.0 \
    RAGSTONE_PORT=3000
USER 10001
WORKDIR /home/ragstone
VOLUME /data
EXPOSE 3000
ENTRYPOINT ["ragstone"]
CMD ["serve"]
