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
  --input URI         pictures; with --output the cluster runs emr/job.py on them as its step
  --output URI        where the result goes; must not exist yet
  --components N|F    number of components, or share of the variance to keep (0.99)
  --model NAME        network (efficientnet-lite0)
  --config FILE       configurations.json (default) or hand-tuned.json
  --release LABEL     release of EMR, 7.x (emr-7.13.0)
  --primary TYPE      instance type of the primary node (m6i.xlarge)
  --core TYPE         instance type of the two core nodes (m6i.2xlarge, which hand-tuned.json is made for)
  --subnet ID         subnet, where the account has no default one
  --end-when-done     end the cluster after its step; otherwise after an hour without work
  --dry-run           print the command, and do nothing

Account and region are those of the AWS CLI (AWS_PROFILE, AWS_REGION).
TEXT
}

from='' logs='' key='' input='' output='' components=0.99 model=efficientnet-lite0 config=configurations.json
release=emr-7.13.0 primary=m6i.xlarge core=m6i.2xlarge subnet='' end='' dry=''
while [ $# -gt 0 ]; do
    case $1 in
    --end-when-done) end=yes; shift; continue ;;
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
    --subnet) subnet=$2 ;;
    *) die "no such option: $1 (--help lists them)" ;;
    esac
    shift 2
done

uri --from "$from"
uri --logs "$logs"
plain --key-name "$key"
[[ $release =~ ^emr-7\.[0-9]+\.[0-9]+$ ]] || die "--release is not of the 7.x series: '$release'"
for name in model components primary core; do plain "--$name" "${!name}"; done
[[ $components =~ ^(0?\.[0-9]*[1-9][0-9]*|[1-9][0-9]*)$ ]] || die "--components is neither a whole number nor a share below 1: '$components'"
[ -f "$config" ] || die "no such file in emr/: $config"

attributes=KeyName=$key,InstanceProfile=EMR_EC2_DefaultRole
if [ -n "$subnet" ]; then plain --subnet "$subnet"; attributes+=,SubnetId=$subnet; fi
command=(aws emr create-cluster
    --name coulis
    --release-label "$release"
    --applications Name=Hadoop Name=Spark Name=Livy Name=JupyterEnterpriseGateway
    --instance-groups
    "Name=primary,InstanceGroupType=MASTER,InstanceCount=1,InstanceType=$primary"
    "Name=core,InstanceGroupType=CORE,InstanceCount=2,InstanceType=$core"
    --service-role EMR_DefaultRole
    --ec2-attributes "$attributes"
    --log-uri "$logs"
    --bootstrap-actions "Name=coulis,Path=$from/bootstrap.sh,Args=[$from]"
    --configurations "file://$PWD/$config"
    --tags "application=coulis")
if [ -n "$input$output" ]; then
    uri --input "$input"
    uri --output "$output"
    step=Type=Spark,Name=coulis,ActionOnFailure=CONTINUE
    step+=,Args=[--deploy-mode,cluster,$from/job.py,$input,$output,--model,$model,--components,$components]
    command+=(--steps "$step")
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
    exec "${command[@]}" --query ClusterId --output text
fi
