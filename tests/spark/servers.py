"""A Spark cluster and an S3 server, as processes of this machine."""

import contextlib
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PATIENCE = 300  # seconds for a server to answer, on a machine that does other things too


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def wait_for(what, found):
    """Polls `found` until it gives something true, and gives that."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        result = found()
        if result:
            return result
        time.sleep(0.1)
    raise TimeoutError(f"{what}: not within {PATIENCE} seconds")


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True


def end_with_parent():
    """Has this process killed when the one that started it ends, however that ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Process:
    """A program in a process group of its own, with its output in a file; it does not outlive the tests."""

    def __init__(self, command, log, environment):
        self.log = Path(log)
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )

    def said(self, pattern):
        """What a pattern matches in the output, once it is there."""

        def look():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.process.args[0]} ended with {self.process.returncode}:\n{self.output()}")
            return re.search(pattern, self.output())

        return wait_for(f"{self.process.args}: {pattern}", look)

    def output(self):
        return self.log.read_text(errors="replace")

    def kill(self):
        """Ends it and everything it started, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class S3:
    """versitygw over a folder: S3 with signatures of version 4 on the loopback."""

    access_key, secret_key, region = "coulis-test", "coulis-test-secret", "eu-west-9"

    def __init__(self, program, folder):
        self.root = Path(folder) / "s3"
        self.root.mkdir()
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        environment = {"PATH": os.defpath, "ROOT_ACCESS_KEY": self.access_key, "ROOT_SECRET_KEY": self.secret_key}
        command = [program, "--port", f"127.0.0.1:{port}", "--region", self.region, "posix", self.root]
        self.server = Process(command, Path(folder) / "s3.log", environment)
        wait_for("versitygw", lambda: answers(port))

    def environment(self, **changes):
        """What a person sets for every tool that talks to S3."""
        values = {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        return {name: value for name, value in {**values, **changes}.items() if value is not None}

    def client(self):
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
        )

    def upload(self, folder, bucket):
        """Makes a bucket of a folder's files."""
        client = self.client()
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": self.region})
        files = [path for path in folder.rglob("*") if path.is_file()]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda path: client.upload_file(str(path), bucket, str(path.relative_to(folder))), files))

    def hadoop(self, **changes):
        """Spark's settings for it."""
        values = {
            "fs.s3a.endpoint": self.endpoint,
            "fs.s3a.endpoint.region": self.region,
            "fs.s3a.path.style.access": "true",
            "fs.s3a.connection.ssl.enabled": "false",
            "fs.s3a.access.key": self.access_key,
            "fs.s3a.secret.key": self.secret_key,
            # s3:// is S3A too, as on EMR it is EMRFS.
            "fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
            # A wrong name should be an error soon, not after the quarter of an hour it takes by default.
            "fs.s3a.attempts.maximum": "2",
            "fs.s3a.retry.limit": "2",
        }
        return {f"spark.hadoop.{name}": value for name, value in {**values, **changes}.items()}


class Cluster:
    """Spark standalone: a master, and workers of one core each, which Spark takes for different machines."""

    def __init__(self, home, java_options, folder, workers=3, memory="1g"):
        self.home, self.folder, self.memory = Path(home), Path(folder), memory
        # Nothing of this process's Python reaches the executors: they have their own.
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "COULIS", "SPARK", "PYSPARK", "AWS"))
        }
        self.environment.update(
            SPARK_HOME=str(self.home),
            SPARK_DAEMON_MEMORY="256m",
            SPARK_DAEMON_JAVA_OPTS=java_options,
            # Executors are killed, so what they keep on disk is left to stop().
            SPARK_LOCAL_DIRS=str(self.folder / "local"),
            SPARK_LOCAL_IP="127.0.0.1",
        )
        self.master = self._start("master", "org.apache.spark.deploy.master.Master", "--port", "0")
        self.url = self.master.said(r"Starting Spark master at (spark://\S+)")[1]
        self.workers = [self._worker(number) for number in range(workers)]
        for worker in self.workers:
            worker.said("Successfully registered with master")

    def _start(self, name, kind, *arguments, host="127.0.0.1"):
        command = [self.home / "bin" / "spark-class", kind, "--host", host, "--webui-port", "0", *arguments]
        return Process(command, self.folder / f"{name}.log", self.environment)

    def _worker(self, number):
        return self._start(
            f"worker{number}",
            "org.apache.spark.deploy.worker.Worker",
            "--cores",
            "1",
            "--memory",
            self.memory,
            "--work-dir",
            self.folder / f"work{number}",
            self.url,
            host=f"127.0.0.{2 + number}",
        )

    def connect_server(self, settings):
        """A server of Spark Connect with this cluster; `url` is what its clients take."""
        port = free_port()
        settings = {
            **settings,
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.connect.grpc.binding.port": port,
        }
        command = [self.home / "bin" / "spark-class", "org.apache.spark.deploy.SparkSubmit", "--master", self.url]
        for name, value in settings.items():
            command += ["--conf", f"{name}={value}"]
        command += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"]
        environment = {
            **self.environment,
            "SPARK_DAEMON_MEMORY": settings["spark.driver.memory"],
            "PYSPARK_PYTHON": os.environ["PYSPARK_PYTHON"],  # spark.pyspark.python means nothing to this server
        }
        server = Process(command, self.folder / "connect.log", environment)
        server.said("Spark Connect server started")
        server.url = f"sc://127.0.0.1:{port}"
        return server

    def kill_worker(self, number):
        """kill -9 of a worker and the executor it runs, and another worker in its place."""
        self.workers[number].kill()
        self.workers[number] = self._worker(len(self.workers))

    def stop(self):
        for process in [*self.workers, self.master]:
            process.kill()
        for folder in (*self.folder.glob("work*"), self.folder / "local"):
            shutil.rmtree(folder, ignore_errors=True) if folder.is_dir() else None
