# How a peer on FastAPI is served. For its `run`, in its folder: serve MODULE. `python` is set.

serve() {
    # The repository, for what is imported from bench.
    PYTHONPATH=$(cd ../../.. && pwd) exec "$python" -m uvicorn "$1:app" --host "${HOST:-127.0.0.1}" --port "$PORT" --workers 1 \
        --loop uvloop --http httptools --no-access-log --log-level warning --backlog 4096 --timeout-keep-alive 75
}
