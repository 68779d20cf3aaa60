"""emr/: what would be asked of Amazon, checked by Amazon's own models, and answered by a server on this machine."""

import json
import math
import pathlib
import re

import botocore.session
import botocore.validate
import pytest
from conftest import ROOT, run

EMR = ROOT / "emr"
CREATE = [EMR / "create-cluster.sh", "--from", "s3://bucket/coulis", "--logs", "s3://bucket/logs",
          "--key-name", "my-key"]
JOB = ["--input", "s3://bucket/pictures", "--output", "s3://bucket/out"]
SERVERLESS = [EMR / "run-serverless.sh", "--from", "s3://bucket/coulis", "--logs", "s3://bucket/logs", "--role",
              "arn:aws:iam::123456789012:role/coulis", *JOB]


def check(value, shape, path="request"):
    """Every value of a closed list is in it: botocore's own validation does not look at those."""
    if shape.type_name == "structure":
        for name, part in value.items():
            check(part, shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for part in value:
            check(part, shape.member, f"{path}[]")
    elif getattr(shape, "enum", None):
        assert value in shape.enum, f"{path}: {value}"


def validate(service, operation, request):
    """Holds a request against botocore's model of the service: names, types, what is required, closed lists."""
    shape = botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape
    report = botocore.validate.ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
    check(request, shape)


def properties(file, classification):
    """Properties of a classification; those of its export where it has one."""
    (found,) = [c for c in json.loads((EMR / file).read_text()) if c["Classification"] == classification]
    return found["Properties"] or found["Configurations"][0]["Properties"]


def test_cluster_is_created_listed_and_ended(recorded, bare):
    bare["AWS_ENDPOINT_URL"] = recorded.url
    code, cluster, error = run(*CREATE, *JOB, "--components", "7", env=bare)
    assert code == 0, error
    cluster = cluster.strip()
    assert re.fullmatch(r"j-[A-Z0-9]+", cluster)

    (request,) = [body for operation, body in recorded.requests if operation == "RunJobFlow"]
    validate("emr", "RunJobFlow", request)
    assert request["ReleaseLabel"].startswith("emr-7.") and request["LogUri"] == "s3://bucket/logs/"
    groups = {g["InstanceRole"]: g["InstanceCount"] for g in request["Instances"]["InstanceGroups"]}
    assert groups == {"MASTER": 1, "CORE": 2}
    assert request["Instances"]["Ec2KeyName"] == "my-key"
    assert request["BootstrapActions"][0]["ScriptBootstrapAction"] == {
        "Path": "s3://bucket/coulis/bootstrap.sh", "Args": ["s3://bucket/coulis"]}
    step = request["Steps"][0]["HadoopJarStep"]
    assert step["Jar"] == "command-runner.jar"
    assert step["Args"] == ["spark-submit", "--deploy-mode", "cluster", "s3://bucket/coulis/job.py",
                            "s3://bucket/pictures", "s3://bucket/out", "--model", "efficientnet-lite0",
                            "--components", "7"]
    assert request["Configurations"] == json.loads((EMR / "configurations.json").read_text())
    assert request["AutoTerminationPolicy"] == {"IdleTimeout": 3600}

    def aws(*arguments):
        code, output, error = run("aws", "emr", *arguments, "--output", "json", env=bare)
        assert code == 0, error
        return json.loads(output or "{}")

    assert cluster in [c["Id"] for c in aws("list-clusters", "--active")["Clusters"]]
    assert aws("describe-cluster", "--cluster-id", cluster)["Cluster"]["Name"] == "coulis"
    aws("terminate-clusters", "--cluster-ids", cluster)
    assert aws("describe-cluster", "--cluster-id", cluster)["Cluster"]["Status"]["State"].startswith("TERMINAT")
    assert cluster not in [c["Id"] for c in aws("list-clusters", "--active")["Clusters"]]


@pytest.mark.parametrize("more", [["--config", "hand-tuned.json"], ["--subnet", "subnet-0123456789abcdef0"],
                                  [*JOB, "--end-when-done"], ["--release", "emr-7.0.0", "--core", "m7i.4xlarge"]])
def test_every_option_makes_a_valid_request(more, recorded, bare):
    bare["AWS_ENDPOINT_URL"] = recorded.url
    code, _, error = run(*CREATE, *more, env=bare)
    assert code == 0, error
    (request,) = [body for operation, body in recorded.requests if operation == "RunJobFlow"]
    validate("emr", "RunJobFlow", request)
    assert request["Instances"]["KeepJobFlowAliveWhenNoSteps"] is ("--end-when-done" not in more)


@pytest.mark.parametrize("wrong", [
    ["--release", "emr-6.15.0"], ["--components", "1.5"], ["--components", "0"], ["--key-name", "two words"],
    ["--from", "bucket/coulis"], ["--logs", "s3://B/logs"],
    ["--input", "s3://bucket/a,b", "--output", "s3://bucket/o"],
    ["--input", "s3://bucket/pictures"], ["--config", "none.json"], ["--end-when-done"], ["--nonsense", "1"],
    ["--from"],
])
def test_wrong_arguments_are_refused(wrong, recorded, bare):
    bare["AWS_ENDPOINT_URL"] = recorded.url
    code, output, error = run(*CREATE, *wrong, env=bare)
    assert (code, output) == (2, "") and error.startswith("create-cluster: ") and error.count("\n") == 1
    assert recorded.requests == []


def test_dry_run_prints_the_command(recorded, bare):
    bare["AWS_ENDPOINT_URL"] = recorded.url
    code, output, _ = run(*CREATE, *JOB, "--dry-run", env=bare)
    assert code == 0 and output.startswith("aws emr create-cluster --name coulis ") and recorded.requests == []


@pytest.mark.parametrize("file", ["configurations.json", "hand-tuned.json"])
def test_configurations(file):
    assert properties(file, "livy-conf") == {"livy.server.session.timeout": "5h"}
    defaults = properties(file, "spark-defaults")
    assert defaults["spark.sql.files.maxRecordsPerFile"] == "10000"
    pythons = {properties(file, "spark-env")["PYSPARK_PYTHON"], properties(file, "livy-env")["PYSPARK_PYTHON"],
               *(value for key, value in defaults.items() if "PYTHON" in key.upper())}
    script = (EMR / "bootstrap.sh").read_text()
    assert pythons == set(re.findall(r"COULIS_PYTHON:-(\S+)}", script)) == {"/usr/bin/python3"}
    folders = {value for key, value in defaults.items() if key.endswith("COULIS_MODELS")}
    assert folders == {re.search(r"COULIS_FOLDER:-(\S+)}", script)[1] + "/models"}
    assert (file == "configurations.json") == any(
        c["Properties"].get("maximizeResourceAllocation") == "true" for c in json.loads((EMR / file).read_text()))


def mebibytes(text):
    return int(text[:-1]) * {"m": 1, "g": 1024}[text[-1]]


def test_hand_tuned_fills_two_nodes():
    """The arithmetic of emr/README.md: containers fill the memory that YARN has, and nothing is left over."""
    spark, yarn = properties("hand-tuned.json", "spark-defaults"), properties("hand-tuned.json", "yarn-site")
    node = int(yarn["yarn.nodemanager.resource.memory-mb"])
    executor = mebibytes(spark["spark.executor.memory"]) + mebibytes(spark["spark.executor.memoryOverhead"])
    driver = mebibytes(spark["spark.driver.memory"]) + mebibytes(spark["spark.driver.memoryOverhead"])
    executors = int(spark["spark.executor.instances"])
    assert 2 * executor + driver == node  # the node that has the driver
    assert executors == 2 * 2 and executors * int(spark["spark.executor.cores"]) == 2 * 8  # m6i.2xlarge: 8 vCPUs
    # Overhead holds what is outside the heap: Python workers (0.2 GiB each) and batches, one in Java, two in Python, of
    # pictures of at most 5 MiB.
    batch = 5 * int(spark["spark.sql.execution.arrow.maxRecordsPerBatch"])
    assert int(spark["spark.executor.cores"]) * (200 + 3 * batch) <= mebibytes(spark["spark.executor.memoryOverhead"])


def spark_tasks(count, size, parallelism, open_cost=4 << 20, partition=128 << 20):
    """How many tasks Spark makes of `count` files of `size` bytes (FilePartition.getFilePartitions)."""
    limit = min(partition, max(open_cost, count * (size + open_cost) // parallelism))
    tasks = filled = 0
    for _ in range(count):
        if tasks == 0 or filled + size > limit:
            tasks, filled = tasks + 1, 0
        filled += size + open_cost
    return tasks


def test_splits_follow_cost():
    spark = properties("hand-tuned.json", "spark-defaults")
    tuned = {"parallelism": int(spark["spark.sql.files.minPartitionNum"]),
             "open_cost": int(spark["spark.sql.files.openCostInBytes"]),
             "partition": int(spark["spark.sql.files.maxPartitionBytes"])}
    # Spark 4.3 itself gave 374 and 48 for the 11,968 test pictures of fruits-360.
    assert spark_tasks(11968, 4500, 4) == 374 and spark_tasks(11968, 4500, **tuned) == 48
    assert spark_tasks(12000, 250_000, 4) == math.ceil(12000 / 31)  # 388 tasks of 31 files, whatever they cost
    # A photograph of 3 MB costs about 7 small pictures: 70 ms of decoding and 10 of the network against 10.
    small, large = 11968 / spark_tasks(11968, 4500, **tuned), 3000 / spark_tasks(3000, 3_000_000, **tuned)
    assert 6 < small / large < 9


def test_serverless(recorded, bare, tmp_path):
    application = json.loads((EMR / "serverless.json").read_text())
    validate("emr-serverless", "CreateApplication", application | {"clientToken": "x"})
    defaults = application["runtimeConfiguration"][0]["properties"]
    tuned = properties("hand-tuned.json", "spark-defaults")
    same = [key for key in tuned if key.startswith(("spark.sql.", "spark.executor.", "spark.driver.mem"))]
    assert {key: defaults[key] for key in same} == {key: tuned[key] for key in same}

    bare["AWS_ENDPOINT_URL"] = recorded.url
    bare["PATH"] = f"{quick_sleep(tmp_path)}:{bare['PATH']}"
    code, output, error = run(*SERVERLESS, env=bare, timeout=300)
    (request,) = [body for operation, body in recorded.requests if operation.endswith("/jobruns")]
    application = re.search(r"of application (\S+)", error)[1]
    validate("emr-serverless", "StartJobRun", request | {"applicationId": application})
    assert request["jobDriver"]["sparkSubmit"]["entryPoint"] == "s3://bucket/coulis/job.py"
    assert (code, output.strip()) == (0, "s3://bucket/out"), error


def quick_sleep(folder):
    """A folder with a `sleep` that hardly sleeps."""
    folder = pathlib.Path(folder, "quick")
    folder.mkdir()
    (folder / "sleep").write_text("#!/bin/sh\nexec /bin/sleep 0.1\n")
    (folder / "sleep").chmod(0o755)
    return folder
