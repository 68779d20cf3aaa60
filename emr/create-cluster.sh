#!/usr/bin/env bash
# Creates a cluster of Amazon EMR with coulis on it, and prints its id.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
die() { echo "create-cluster: $*" >&2; exit 2; }
# shellcheck source=emr/checks.sh
source checks.sh

usage() {
    cat <<'TEXT'
emr/create-cluster.sh --from s3://BUCKET/PREFIX --logs s3://BUCKET/PREFIX --key-name NAME [OPTION...]

  --from URI          where emr/upload.sh put everything
  --logs URI          where EMR writes its logs
  --key-name NAME     EC2 key pair, for ssh
  --input URI         images; with --output the cluster runs emr/job.py on them as its step
  --output URI        where the result goes; must not exist yet
  --components N|F    number of components, or share of the variance to keep (0.99)
  --model NAME        network (efficientnet-lite0)
  --config FILE       hand-tuned.json (default), whose memory and executors follow the nodes, or maximize.json
  --release LABEL     release of EMR (emr-7.13.0); emr-spark-8.1.0 is known as well
  --primary TYPE      instance type of the primary node (m6i.xlarge, or m7g.xlarge beside Graviton)
  --core TYPE         instance type of the core nodes (m6i.2xlarge)
  --core-count N      how many core nodes (2)
  --task TYPE[,...]   instance types of the task nodes (that of the core nodes); several only with --spot
  --task-count N      how many task nodes (0)
  --spot              task nodes on Spot, from the pools that EC2 has most of; the driver stays on the core nodes
  --service-role NAME role of EMR (EMR_DefaultRole_V2; EMR_DefaultRole is the older one)
  --subnet ID         subnet, where the account has no default one
  --end-when-done     end the cluster after its step; otherwise after an hour without work
  --dry-run           print the command, and do nothing

Account and region are those of the AWS CLI (AWS_PROFILE, AWS_REGION).
TEXT
}

from='' logs='' key='' input='' output='' components=0.99 model=efficientnet-lite0 config=hand-tuned.json
release=$DEFAULT_RELEASE primary='' core=m6i.2xlarge core_count=2 task='' task_count=0 spot='' subnet='' end='' dry=''
service_role=EMR_DefaultRole_V2
while [ $# -gt 0 ]; do
    case $1 in
    --end-when-done) end=yes; shift; continue ;;
    --spot) spot=spot; shift; continue ;;
    --dry-run) dry=yes; shift; continue ;;
    -h | --help) usage; exit 0 ;;
    esac
    [ $# -ge 2 ] || die "$1 needs a value"
    case $1 in
    --from) from=${2%/} ;;
    --logs) logs=${2%/}/ ;;
    --key-name) key=$2 ;;
    --input) input=$2 ;;
    --output) output=${2%/} ;;
    --components) components=$2 ;;
    --model) model=$2 ;;
    --config) config=$2 ;;
    --release) release=$2 ;;
    --primary) primary=$2 ;;
    --core) core=$2 ;;
    --core-count) core_count=$2 ;;
    --task) task=$2 ;;
    --task-count) task_count=$2 ;;
    --service-role) service_role=$2 ;;
    --subnet) subnet=$2 ;;
    *) die "no such option: $1 (--help lists them)" ;;
    esac
    shift 2
done

uri --from "$from"
uri --logs "$logs"
plain --key-name "$key"
plain --service-role "$service_role"
for name in model components; do plain "--$name" "${!name}"; done
components "$components"
count --core-count "$core_count" 1
count --task-count "$task_count" 0
[ -f "$config" ] || die "no such file in emr/: $config"
[ -z "$task" ] || [ "$task_count" -gt 0 ] || die "--task needs --task-count"
[ -z "$spot" ] || [ "$task_count" -gt 0 ] || die "--spot is for task nodes, and there are none: --task-count says how many"
task=${task:-$core}
[[ -n $spot || $task != *,* ]] || die "several types of task nodes need --spot"
release "$release"

# One processor for all nodes: what upload.sh put there, and vectors whose bytes do not depend on the node.
processor=$(architecture "$core")
if [ -z "$primary" ]; then [ "$processor" = aarch64 ] && primary=m7g.xlarge || primary=m6i.xlarge; fi
IFS=, read -ra tasks <<<"$task"
for type in "$primary" "${tasks[@]}"; do
    other=$(architecture "$type")
    [ "$other" = "$processor" ] || die "$core is $processor and $type is not: all nodes need the same processor"
done
for type in "${tasks[@]}"; do
    [ "${type#*.}" = "${core#*.}" ] || die "$type has not the size of $core: executors are made for one size"
done

request() { "${PYTHON:-python3}" request.py "$@"; }
configurations=$(request configurations "$config" "$node_python" "$core" $((core_count + task_count)) "$spot") || exit 2
attributes=KeyName=$key,InstanceProfile=EMR_EC2_DefaultRole
if [ -n "$subnet" ]; then plain --subnet "$subnet"; attributes+=,SubnetId=$subnet; fi
[ -n "$spot" ] && nodes=--instance-fleets || nodes=--instance-groups
command=(aws emr create-cluster
    --name coulis
    --release-label "$release"
    --applications "${applications[@]/#/Name=}"
    "$nodes" "$(request nodes "$primary" "$core" "$core_count" "$task" "$task_count" "$spot")"
    --service-role "$service_role"
    --ec2-attributes "$attributes"
    --log-uri "$logs"
    --bootstrap-actions "$(request bootstrap "$from" "$node_python")"
    --configurations "$configurations"
    # The second is what the policies of EMR_DefaultRole_V2 ask for.
    --tags application=coulis for-use-with-amazon-emr-managed-policies=true)
if [ -n "$input$output" ]; then
    uri --input "$input"
    uri --output "$output"
    command+=(--steps "$(request step "$from" "$input" "$output" "$model" "$components")")
fi
if [ -n "$end" ]; then
    [ -n "$input" ] || die "--end-when-done needs --input and --output: without a step there is nothing to be done"
    command+=(--auto-terminate)
else
    # A forgotten cluster costs money every second. Livy's sessions count as work while they are open.
    command+=(--no-auto-terminate --auto-termination-policy IdleTimeout=3600)
fi

if [ -n "$dry" ]; then
    printf '%q ' "${command[@]}"
    echo
else
    uploaded "$from" "$processor" "$release"
    exec "${command[@]}" --query ClusterId --output text
fi
