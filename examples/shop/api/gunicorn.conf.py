"""Read by gunicorn from its working directory. The number of workers is $WEB_CONCURRENCY, 1 by default."""

import os

bind = "0.0.0.0:8000"
loglevel = os.environ["LOG_LEVEL"]
worker_tmp_dir = "/dev/shm"
worker_class = "uvicorn.workers.UvicornWorker"
