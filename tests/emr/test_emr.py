"""emr/: what would be asked of Amazon, checked by Amazon's own models, and answered by a server on this machine."""

import json
import math
import pathlib
import re

import boto3
import botocore.session
import botocore.validate
import pytest
from conftest import ROOT, run

EMR = ROOT / "emr"
CREATE = [
    EMR / "create-cluster.sh",
    "--from",
    "s3://bucket/coulis",
    "--logs",
    "s3://bucket/logs",
    "--key-name",
    "my-key",
]
JOB = ["--input", "s3://bucket/pictures", "--output", "s3://bucket/out"]
SERVERLESS = [
    EMR / "run-serverless.sh",
    "--from",
    "s3://bucket/coulis",
    "--logs",
    "s3://bucket/logs",
    "--role",
    "arn:aws:iam::123456789012:role/coulis",
    *JOB,
]


@pytest.fixture(scope="module")
def uploaded(amazon):
    """What upload.sh leaves in s3://bucket/coulis, as far as the scripts look: for three kinds of nodes."""
    s3 = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{amazon}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    s3.create_bucket(Bucket="bucket")
    for kind in ("python3.9-x86_64", "python3.9-aarch64", "python3.11-x86_64"):
        s3.put_object(Bucket="bucket", Key=f"coulis/{kind}/SHA256SUMS", Body=b"")


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


def test_cluster_is_created_listed_and_ended(recorded, bare, uploaded):
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
        "Path": "s3://bucket/coulis/bootstrap.sh",
        "Args": ["s3://bucket/coulis", "/usr/bin/python3"],
    }
    step = request["Steps"][0]["HadoopJarStep"]
    assert step["Jar"] == "command-runner.jar"
    assert step["Args"] == [
        "spark-submit",
        "--deploy-mode",
        "cluster",
        "s3://bucket/coulis/job.py",
        "s3://bucket/pictures",
        "s3://bucket/out",
        "--model",
        "efficientnet-lite0",
        "--components",
        "7",
    ]
    assert request["Configurations"] == json.loads((EMR / "hand-tuned.json").read_text())
    assert request["ServiceRole"] == "EMR_DefaultRole_V2"
    assert {"Key": "for-use-with-amazon-emr-managed-policies", "Value": "true"} in request["Tags"]
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


def asked_for(recorded, bare, *more):
    """The request that create-cluster.sh makes with these options, checked against Amazon's model; and its output."""
    bare["AWS_ENDPOINT_URL"] = recorded.url
    code, _, error = run(*CREATE, *more, env=bare)
    assert code == 0, error
    (request,) = [body for operation, body in recorded.requests if operation == "RunJobFlow"]
    validate("emr", "RunJobFlow", request)
    return request, error


def settings(request, name):
    (found,) = [c for c in request["Configurations"] if c["Classification"] == name]
    return found["Properties"]


@pytest.mark.parametrize(
    "more",
    [
        ["--config", "maximize.json", "--subnet", "subnet-0123456789abcdef0", "--service-role", "EMR_DefaultRole"],
        [*JOB, "--end-when-done", "--release", "emr-7.0.0", "--core", "m7i.4xlarge", "--task-count", "3"],
    ],
)
def test_every_option_makes_a_valid_request(more, recorded, bare, uploaded):
    request, error = asked_for(recorded, bare, *more)
    assert error == ""
    assert request["Instances"]["KeepJobFlowAliveWhenNoSteps"] is ("--end-when-done" not in more)


HADOOP = ["Hadoop", "Spark", "Livy", "JupyterEnterpriseGateway"]


@pytest.mark.parametrize(
    "release, python, applications, like",
    [
        ("emr-7.13.0", "/usr/bin/python3 3.9", HADOOP, None),
        ("emr-7.14.0", "/usr/bin/python3 3.9", HADOOP, None),
        ("emr-7.99.0", "/usr/bin/python3 3.9", HADOOP, "emr-7.13.0"),
        ("emr-spark-8.0.0", "/usr/bin/python3.11 3.11", HADOOP[1:], None),
        ("emr-spark-8.1.0", "/usr/bin/python3.11 3.11", HADOOP[1:], None),
        ("emr-spark-9.0.0", "/usr/bin/python3.11 3.11", HADOOP[1:], "emr-spark-8.1.0"),
    ],
)
def test_each_release_has_its_python_and_applications(release, python, applications, like):
    script = f'. {EMR}/checks.sh; release {release}; echo "$node_python $node_version ${{applications[*]}}"'
    code, output, error = run("bash", "-c", script)
    assert (code, output) == (0, f"{python} {' '.join(applications)}\n")
    assert error == (f"warning: release {release} is not known here; it is taken to be like {like}\n" if like else "")


def test_spark_8(recorded, bare, uploaded):
    request, error = asked_for(recorded, bare, "--release", "emr-spark-8.1.0")
    assert error == "" and request["ReleaseLabel"] == "emr-spark-8.1.0"
    assert [a["Name"] for a in request["Applications"]] == HADOOP[1:]
    assert request["BootstrapActions"][0]["ScriptBootstrapAction"]["Args"][1] == "/usr/bin/python3.11"
    text = json.dumps(request["Configurations"])
    assert set(re.findall(r'"(/usr/bin/[^"]*)"', text)) == {"/usr/bin/python3.11"}


def test_graviton_with_task_nodes_on_spot(recorded, bare, uploaded):
    request, _ = asked_for(
        recorded,
        bare,
        *JOB,
        "--core",
        "m7g.4xlarge",
        "--core-count",
        "1",
        "--task-count",
        "6",
        "--task",
        "m7g.4xlarge,m8g.4xlarge",
        "--spot",
    )
    fleets = {fleet["InstanceFleetType"]: fleet for fleet in request["Instances"]["InstanceFleets"]}
    assert fleets["MASTER"]["InstanceTypeConfigs"] == [{"InstanceType": "m7g.xlarge", "WeightedCapacity": 1}]
    assert fleets["CORE"]["TargetOnDemandCapacity"] == 1 and "LaunchSpecifications" not in fleets["CORE"]
    assert fleets["TASK"]["TargetSpotCapacity"] == 6
    assert [c["InstanceType"] for c in fleets["TASK"]["InstanceTypeConfigs"]] == ["m7g.4xlarge", "m8g.4xlarge"]
    spot = fleets["TASK"]["LaunchSpecifications"]["SpotSpecification"]
    assert spot["AllocationStrategy"] == "capacity-optimized"
    # Seven nodes of twice the size: the memory of a node doubles, and executors fill all of them.
    yarn, spark = settings(request, "yarn-site"), settings(request, "spark-defaults")
    assert yarn["yarn.nodemanager.resource.memory-mb"] == "49152"
    assert yarn["yarn.node-labels.am.default-node-label-expression"] == "CORE"
    assert spark["spark.executor.instances"] == str(7 * 4) and spark["spark.sql.shuffle.partitions"] == str(7 * 16)


def test_prefixes_with_blanks(recorded, bare, uploaded):
    places = ["s3://bucket/my images, all", "s3://bucket/the result"]
    request, _ = asked_for(recorded, bare, "--input", places[0], "--output", places[1])
    assert request["Steps"][0]["HadoopJarStep"]["Args"][4:6] == places


@pytest.mark.parametrize(
    "wrong",
    [
        ["--release", "emr-6.15.0"],
        ["--release", "7.13.0"],
        ["--components", "1.5"],
        ["--components", "0"],
        ["--key-name", "two words"],
        ["--from", "bucket/coulis"],
        ["--logs", "s3://B/logs"],
        ["--input", 's3://bucket/a"b', "--output", "s3://bucket/o"],
        ["--input", "s3://bucket/pictures"],
        ["--config", "none.json"],
        ["--end-when-done"],
        ["--nonsense", "1"],
        ["--from"],
        ["--core-count", "0"],
        ["--core-count", "two"],
        ["--spot"],
        ["--task", "m6i.2xlarge"],
        ["--core", "m7g.2xlarge", "--primary", "m6i.xlarge"],
        ["--core", "m7g.2xlarge", "--primary", "nonsense"],
        ["--task-count", "2", "--task", "m7g.2xlarge"],
        ["--task-count", "2", "--task", "m6i.4xlarge"],
        ["--task-count", "2", "--task", "m6i.2xlarge,m7i.2xlarge"],
        ["--core", "c6i.2xlarge"],
        ["--core", "m6i.large"],
    ],
)
def test_wrong_arguments_are_refused(wrong, recorded, bare):
    bare["AWS_ENDPOINT_URL"] = recorded.url
    code, output, error = run(*CREATE, *wrong, env=bare)
    assert (code, output) == (2, ""), error
    assert error.startswith(("create-cluster: ", "hand-tuned.json ")) and error.count("\n") == 1
    assert recorded.requests == []


@pytest.mark.parametrize(
    "types, expected",
    [
        ("m6i.2xlarge m7i.4xlarge m6a.xlarge g5.xlarge r5d.metal c7i-flex.large u-3tb1.56xlarge", "x86_64"),
        (
            "m6g.2xlarge m7gd.4xlarge m8g.xlarge c7gn.large r8g.metal-24xl g5g.xlarge x2gd.large a1.large im4gn.large",
            "aarch64",
        ),
    ],
)
def test_the_processor_of_an_instance_type(types, expected):
    script = f". {EMR}/checks.sh; die() {{ echo no; }}; for name in {types}; do architecture $name; done"
    code, output, _ = run("bash", "-c", script)
    assert (code, output.split()) == (0, [expected] * len(types.split()))


@pytest.mark.parametrize(
    "more, kind",
    [
        (["--core", "m8g.2xlarge", "--release", "emr-spark-8.1.0"], "Python 3.11 on aarch64"),
        (["--from", "s3://bucket/elsewhere"], "Python 3.9 on x86_64"),
    ],
)
def test_what_was_not_uploaded_is_refused_before_it_costs(more, kind, recorded, bare, uploaded):
    bare["AWS_ENDPOINT_URL"] = recorded.url
    code, output, error = run(*CREATE, *more, env=bare)
    assert (code, output) == (2, "") and f"has no packages for {kind}: emr/upload.sh" in error
    assert "RunJobFlow" not in [operation for operation, _ in recorded.requests]


def test_dry_run_prints_the_command(recorded, bare):
    bare["AWS_ENDPOINT_URL"] = recorded.url
    code, output, _ = run(*CREATE, *JOB, "--dry-run", env=bare)
    assert code == 0 and output.startswith("aws emr create-cluster --name coulis ") and recorded.requests == []


@pytest.mark.parametrize("file", ["maximize.json", "hand-tuned.json"])
def test_configurations(file):
    assert properties(file, "livy-conf") == {"livy.server.session.timeout": "5h"}
    defaults = properties(file, "spark-defaults")
    assert defaults["spark.sql.files.maxRecordsPerFile"] == "10000"
    pythons = {
        properties(file, "spark-env")["PYSPARK_PYTHON"],
        properties(file, "livy-env")["PYSPARK_PYTHON"],
        *(value for key, value in defaults.items() if "PYTHON" in key.upper()),
    }
    script = (EMR / "bootstrap.sh").read_text()
    assert pythons == set(re.findall(r"COULIS_PYTHON:-\${2:-(\S+)}}", script)) == {"/usr/bin/python3"}
    folders = {value for key, value in defaults.items() if key.endswith("COULIS_MODELS")}
    assert folders == {re.search(r"COULIS_FOLDER:-(\S+)}", script)[1] + "/models"}
    assert (file == "maximize.json") == any(
        c["Properties"].get("maximizeResourceAllocation") == "true" for c in json.loads((EMR / file).read_text())
    )


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
    # images of at most 5 MiB.
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
    tuned = {
        "parallelism": int(spark["spark.sql.files.minPartitionNum"]),
        "open_cost": int(spark["spark.sql.files.openCostInBytes"]),
        "partition": int(spark["spark.sql.files.maxPartitionBytes"]),
    }
    # Spark 4.3 itself gave 374 and 48 for the 11,968 test images of fruits-360.
    assert spark_tasks(11968, 4500, 4) == 374 and spark_tasks(11968, 4500, **tuned) == 48
    assert spark_tasks(12000, 250_000, 4) == math.ceil(12000 / 31)  # 388 tasks of 31 files, whatever they cost
    # A photograph of 3 MB costs about 7 small images: 70 ms of decoding and 10 of the network against 10.
    small, large = 11968 / spark_tasks(11968, 4500, **tuned), 3000 / spark_tasks(3000, 3_000_000, **tuned)
    assert 6 < small / large < 9


@pytest.mark.parametrize(
    "more, release, architecture, python",
    [
        ([], "emr-7.13.0", "X86_64", None),
        (["--architecture", "aarch64"], "emr-7.13.0", "ARM64", None),
        (["--release", "emr-spark-8.1.0"], "emr-spark-8.1.0", "X86_64", "/usr/bin/python3.11"),
    ],
)
def test_serverless(more, release, architecture, python, recorded, bare, uploaded, tmp_path):
    tuned = properties("hand-tuned.json", "spark-defaults")
    same = [key for key in tuned if key.startswith(("spark.sql.", "spark.executor.", "spark.driver.mem"))]

    bare["AWS_ENDPOINT_URL"] = recorded.url
    bare["PATH"] = f"{quick_sleep(tmp_path)}:{bare['PATH']}"
    code, output, error = run(*SERVERLESS, *more, env=bare, timeout=300)
    # moto has a list of releases of its own, which ends before this one.
    unknown = "release label does not exist" in error
    assert unknown or (code, output.strip()) == (0, "s3://bucket/out"), error
    assert unknown == (python is not None)
    (made,) = [body for operation, body in recorded.requests if operation == "POST /applications"]
    validate("emr-serverless", "CreateApplication", made)
    assert (made["releaseLabel"], made["architecture"]) == (release, architecture)
    defaults = made["runtimeConfiguration"][0]["properties"]
    assert {key: defaults[key] for key in same} == {key: tuned[key] for key in same}
    assert defaults.get("spark.executorEnv.PYSPARK_PYTHON") == python
    if unknown:
        return
    (request,) = [body for operation, body in recorded.requests if operation.endswith("/jobruns")]
    application = re.search(r"of application (\S+)", error)[1]
    validate("emr-serverless", "StartJobRun", request | {"applicationId": application})
    submit = request["jobDriver"]["sparkSubmit"]
    assert submit["entryPoint"] == "s3://bucket/coulis/job.py"
    kind = f"python3.9-{'aarch64' if architecture == 'ARM64' else 'x86_64'}"
    assert submit["sparkSubmitParameters"] == f"--archives s3://bucket/coulis/{kind}/site.tar.gz#site"


@pytest.mark.parametrize(
    "more, kind, processor",
    [([], "python3.9-x86_64", "amd64"), (["--architecture", "aarch64"], "python3.9-aarch64", "arm64")],
)
def test_job_template_of_eks(more, kind, processor, recorded, bare, uploaded):
    """The template, and a job made of it, checked against Amazon's model; moto has no job templates to make one."""
    code, output, error = run(
        EMR / "make-eks-template.sh",
        "--from",
        "s3://bucket/coulis",
        "--logs",
        "s3://bucket/logs",
        *more,
        "--dry-run",
        env=bare,
    )
    assert code == 0, error
    data = json.loads(output)
    validate("emr-containers", "CreateJobTemplate", {"name": "coulis", "clientToken": "x", "jobTemplateData": data})
    used = set(re.findall(r"\$\{(\w+)\}", output))
    assert used == set(data["parameterConfiguration"])
    (defaults,) = [c["properties"] for c in data["configurationOverrides"]["applicationConfiguration"]]
    assert defaults["spark.archives"] == f"s3://bucket/coulis/{kind}/site.tar.gz#site"
    assert defaults["spark.kubernetes.node.selector.kubernetes.io/arch"] == processor
    tuned = properties("hand-tuned.json", "spark-defaults")
    same = [key for key in tuned if key.startswith(("spark.sql.", "spark.executor.", "spark.driver.mem"))]
    assert {key: defaults[key] for key in same} == {key: tuned[key] for key in same}
    bare["AWS_ENDPOINT_URL"] = recorded.url
    code, _, error = run(
        EMR / "make-eks-template.sh", "--from", "s3://bucket/coulis", "--logs", "s3://bucket/logs", *more, env=bare
    )
    (sent,) = [body for operation, body in recorded.requests if operation == "POST /jobtemplates"]
    assert sent["jobTemplateData"] == data


def quick_sleep(folder):
    """A folder with a `sleep` that hardly sleeps."""
    folder = pathlib.Path(folder, "quick")
    folder.mkdir()
    (folder / "sleep").write_text("#!/bin/sh\nexec /bin/sleep 0.1\n")
    (folder / "sleep").chmod(0o755)
    return folder


def test_batch(bare, tmp_path):
    """The job definition, checked against Amazon's model; and its command, run as an array of two, over stand-ins."""
    definition = json.loads((EMR / "batch.json").read_text())
    validate("batch", "RegisterJobDefinition", definition)
    bash, flags, script, *references = definition["containerProperties"]["command"]
    assert [r.removeprefix("Ref::") for r in references] == ["images", "shards", "components"]
    assert {r.removeprefix("Ref::") for r in references} == set(definition["parameters"])
    programs = tmp_path / "stand-ins"
    programs.mkdir()
    (programs / "aws").write_text('#!/bin/sh\nmkdir -p "$5" && cp -r "$4/." "$5"\n')
    (programs / "coulis").write_text('#!/bin/sh\necho "$@" >said; mkdir -p "$4"; cp said "$4"; exit 3\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    (tmp_path / "images").mkdir()
    script = script.replace("/tmp/coulis", str(tmp_path / "work"))
    for index in range(2):
        code, _, error = run(
            bash,
            flags,
            script,
            tmp_path / "images",
            tmp_path / "shards",
            "7",
            env={
                "PATH": f"{programs}:/usr/bin:/bin",
                "AWS_BATCH_JOB_ARRAY_INDEX": str(index),
                "AWS_BATCH_JOB_ARRAY_SIZE": "2",
            },
        )
        assert code == 0, error
        said = (tmp_path / "shards" / f"shard{index + 1}" / "said").read_text()
        assert said == f"run images -o shard{index + 1} --shard {index + 1}/2 -k 7 --no-progress\n"
