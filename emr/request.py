"""Writes the parts of requests to Amazon that are JSON; called by the scripts beside it, which check what they pass.

    request.py configurations FILE PYTHON TYPE NODES SPOT     settings of a cluster, for its size
    request.py nodes PRIMARY CORE N TASK N SPOT               its nodes: instance groups, or fleets where SPOT is `spot`
    request.py bootstrap FROM PYTHON
    request.py step FROM INPUT OUTPUT MODEL COMPONENTS
    request.py application RELEASE ARCHITECTURE PYTHON        of EMR Serverless
    request.py serverless FROM TARGET INPUT OUTPUT MODEL COMPONENTS
    request.py eks FROM TARGET PYTHON LOGS RELEASE            data of a job template of EMR on EKS

Needs Python 3.9 and nothing else.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
NODE_PYTHON = "/usr/bin/python3"  # in the files beside this
SIZE = "2xlarge"  # hand-tuned.json is made for nodes of this size, 8 vCPUs and 32 GiB, and for two of them
UNITS = {
    "2xlarge": 1,
    "4xlarge": 2,
    "8xlarge": 4,
    "12xlarge": 6,
    "16xlarge": 8,
    "24xlarge": 12,
    "32xlarge": 16,
    "48xlarge": 24,
}
EXECUTORS = 2  # of four cores in a node of that size
CORES = 8
# On Spot the driver, without which a job is lost, stays on core nodes, which are not.
DRIVER_ON_CORE = {"yarn.node-labels.enabled": "true", "yarn.node-labels.am.default-node-label-expression": "CORE"}


def load(name, python):
    return json.loads((HERE / name).read_text().replace(f'"{NODE_PYTHON}"', json.dumps(python)))


def classification(configurations, name):
    for part in configurations:
        if part["Classification"] == name:
            return part["Properties"]
    configurations.append({"Classification": name, "Properties": {}})
    return configurations[-1]["Properties"]


def units(kind):
    """How many times 8 vCPUs and 32 GiB a node of this type has."""
    family, _, size = kind.partition(".")
    if family[0] not in "mr" or size not in UNITS:
        sys.exit(
            f"hand-tuned.json is for types m and r from 2xlarge on, with 4 GiB or more for each vCPU, not {kind}: "
            "name another type, or --config maximize.json"
        )
    return UNITS[size]


def configurations(file, python, kind, nodes, spot):
    """The settings in `file`; memory and executors of hand-tuned.json grow with the size and the number of nodes."""
    result = load(file, python)
    if pathlib.Path(file).name == "hand-tuned.json":
        times = units(kind)
        yarn, spark = classification(result, "yarn-site"), classification(result, "spark-defaults")
        for key in yarn:
            yarn[key] = str(int(yarn[key]) * times)
        spark["spark.executor.instances"] = str(EXECUTORS * times * int(nodes))
        for key in ("spark.sql.files.minPartitionNum", "spark.sql.shuffle.partitions"):
            spark[key] = str(CORES * times * int(nodes))
    if spot:
        classification(result, "yarn-site").update(DRIVER_ON_CORE)
    return result


def nodes(primary, core, core_count, task, task_count, spot):
    counts = [("MASTER", primary, 1), ("CORE", core, int(core_count)), ("TASK", task, int(task_count))]
    counts = [(role, kinds.split(","), count) for role, kinds, count in counts if count]
    if not spot:
        return [
            {"Name": role.lower(), "InstanceGroupType": role, "InstanceCount": count, "InstanceType": kinds[0]}
            for role, kinds, count in counts
        ]
    result = []
    for role, kinds, count in counts:
        fleet = {"Name": role.lower(), "InstanceFleetType": role}
        fleet["TargetSpotCapacity" if role == "TASK" else "TargetOnDemandCapacity"] = count
        # Each node counts as one, whatever its type: they have the same size.
        fleet["InstanceTypeConfigs"] = [{"InstanceType": kind, "WeightedCapacity": 1} for kind in kinds]
        if role == "TASK":
            fleet["LaunchSpecifications"] = {
                "SpotSpecification": {
                    "TimeoutDurationMinutes": 20,
                    "TimeoutAction": "SWITCH_TO_ON_DEMAND",
                    "AllocationStrategy": "capacity-optimized",
                }
            }
        result.append(fleet)
    return result


def bootstrap(source, python):
    return [{"Name": "coulis", "Path": f"{source}/bootstrap.sh", "Args": [source, python]}]


def job_arguments(source, output, model, components):
    return [source, output, "--model", model, "--components", components]


def step(folder, *job):
    arguments = ["--deploy-mode", "cluster", f"{folder}/job.py", *job_arguments(*job)]
    return [{"Type": "Spark", "Name": "coulis", "ActionOnFailure": "CONTINUE", "Args": arguments}]


def application(release, architecture, python):
    result = load("serverless.json", NODE_PYTHON)
    result.update(releaseLabel=release, architecture={"x86_64": "X86_64", "aarch64": "ARM64"}[architecture])
    if python != NODE_PYTHON:
        properties = result["runtimeConfiguration"][0]["properties"]
        properties["spark.emr-serverless.driverEnv.PYSPARK_PYTHON"] = python
        properties["spark.executorEnv.PYSPARK_PYTHON"] = python
    return result


def serverless(folder, target, *job):
    return {
        "sparkSubmit": {
            "entryPoint": f"{folder}/job.py",
            "entryPointArguments": job_arguments(*job),
            "sparkSubmitParameters": f"--archives {folder}/{target}/site.tar.gz#site",
        }
    }


def eks(folder, target, python, logs, release):
    result = json.loads((HERE / "eks.json").read_text())
    result["releaseLabel"] = f"{release}-latest"
    driver = result["jobDriver"]["sparkSubmitJobDriver"]
    driver["entryPoint"] = f"{folder}/job.py"
    overrides = result["configurationOverrides"]
    properties = overrides["applicationConfiguration"][0]["properties"]
    properties["spark.archives"] = f"{folder}/{target}/site.tar.gz#site"
    if python != NODE_PYTHON:
        properties["spark.pyspark.python"] = python
    overrides["monitoringConfiguration"]["s3MonitoringConfiguration"]["logUri"] = logs
    # Kubernetes names the processor otherwise.
    processor = "arm64" if target.endswith("aarch64") else "amd64"
    properties["spark.kubernetes.node.selector.kubernetes.io/arch"] = processor
    return result


if __name__ == "__main__":
    what = {f.__name__: f for f in (configurations, nodes, bootstrap, step, application, serverless, eks)}
    print(json.dumps(what[sys.argv[1]](*sys.argv[2:])))
