#!/usr/bin/env bash
# Makes a job template of EMR on EKS that runs emr/job.py, and prints its id.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
die() { echo "make-eks-template: $*" >&2; exit 2; }
# shellcheck source=emr/checks.sh
source checks.sh

usage() {
    cat <<'TEXT'
emr/make-eks-template.sh --from s3://BUCKET/PREFIX --logs s3://BUCKET/PREFIX [OPTION...]

  --from URI          where emr/upload.sh put everything
  --logs URI          where the logs of its jobs go
  --release LABEL     release of EMR (emr-7.13.0)
  --architecture A    of the nodes: x86_64 (default) or aarch64
  --name NAME         of the template (coulis)
  --dry-run           print the template, and do nothing

The virtual cluster, and its Kubernetes namespace and roles, are made before: see emr/README.md.
TEXT
}

from='' logs='' release=$DEFAULT_RELEASE architecture=x86_64 name=coulis dry=''
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help) usage; exit 0 ;;
    --dry-run) dry=yes; shift; continue ;;
    esac
    [ $# -ge 2 ] || die "$1 needs a value"
    case $1 in
    --from) from=${2%/} ;;
    --logs) logs=${2%/}/ ;;
    --release) release=$2 ;;
    --architecture) architecture=$2 ;;
    --name) name=$2 ;;
    *) die "no such option: $1 (--help lists them)" ;;
    esac
    shift 2
done
uri --from "$from"
plain --from "$from" # spark.archives is a list with commas
uri --logs "$logs"
plain --name "$name"
case $architecture in x86_64 | aarch64) ;; *) die "--architecture is neither x86_64 nor aarch64: '$architecture'" ;; esac
release "$release"

data=$("${PYTHON:-python3}" request.py eks "$from" "$(target "$node_version" "$architecture")" "$node_python" "$logs" "$release")
if [ -n "$dry" ]; then
    echo "$data"
else
    uploaded "$from" "$architecture" "$release"
    exec aws emr-containers create-job-template --name "$name" --job-template-data "$data" --query id --output text
fi
