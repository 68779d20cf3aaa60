#!/usr/bin/env bash
# Runs emr/job.py on EMR Serverless, waits for its end, and says how it went.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
die() { echo "run-serverless: $*" >&2; exit 2; }
# shellcheck source=emr/checks.sh
source checks.sh

usage() {
    cat <<'TEXT'
emr/run-serverless.sh --from s3://BUCKET/PREFIX --logs s3://BUCKET/PREFIX --role ARN --input URI --output URI [OPTION...]

  --from URI          where emr/upload.sh put everything
  --logs URI          where EMR writes its logs
  --role ARN          role the job runs as: may read --from and --input, write --output and --logs
  --input URI         images
  --output URI        where the result goes; must not exist yet
  --components N|F    number of components, or share of the variance to keep (0.99)
  --model NAME        network (efficientnet-lite0)
  --release LABEL     release of EMR (emr-7.13.0)
  --architecture A    x86_64 (default), or aarch64, which costs a fifth less
  --application ID    an application made before; else one is made from serverless.json, and deleted after the job
TEXT
}

from='' logs='' role='' input='' output='' components=0.99 model=efficientnet-lite0 application=''
release=$DEFAULT_RELEASE architecture=x86_64
while [ $# -gt 0 ]; do
    case $1 in -h | --help) usage; exit 0 ;; esac
    [ $# -ge 2 ] || die "$1 needs a value"
    case $1 in
    --from) from=${2%/} ;;
    --logs) logs=${2%/}/ ;;
    --role) role=$2 ;;
    --input) input=$2 ;;
    --output) output=${2%/} ;;
    --components) components=$2 ;;
    --model) model=$2 ;;
    --application) application=$2 ;;
    --release) release=$2 ;;
    --architecture) architecture=$2 ;;
    *) die "no such option: $1 (--help lists them)" ;;
    esac
    shift 2
done

uri --from "$from"
plain --from "$from" # it stands in a line of options
uri --logs "$logs"
uri --input "$input"
uri --output "$output"
plain --role "$role"
components "$components"
plain --model "$model"

request() { "${PYTHON:-python3}" request.py "$@"; }
if [ -n "$application" ]; then
    plain --application "$application"
    read -r release architecture < <(aws emr-serverless get-application --application-id "$application" \
        --query '[application.releaseLabel, application.architecture]' --output text)
    case $architecture in ARM64) architecture=aarch64 ;; *) architecture=x86_64 ;; esac
fi
case $architecture in x86_64 | aarch64) ;; *) die "--architecture is neither x86_64 nor aarch64: '$architecture'" ;; esac
release "$release"
uploaded "$from" "$architecture" "$release"

made=''
if [ -z "$application" ]; then
    application=$(aws emr-serverless create-application --query applicationId --output text \
        --cli-input-json "$(request application "$release" "$architecture" "$node_python")")
    made=$application
fi
# Stopped before it is deleted, and both only once no job runs in it any more.
clean_up() {
    [ -n "$made" ] || return 0
    aws emr-serverless stop-application --application-id "$made" || true
    for _ in $(seq 60); do
        case $(aws emr-serverless get-application --application-id "$made" --query application.state --output text) in
        STOPPED | CREATED) aws emr-serverless delete-application --application-id "$made" && return ;;
        esac
        sleep 5
    done
    echo "run-serverless: application $made is still there: delete it by hand" >&2
}
trap clean_up EXIT
for _ in $(seq 60); do
    state=$(aws emr-serverless get-application --application-id "$application" --query application.state --output text)
    case $state in CREATED | STARTED | STOPPED) break ;; esac
    sleep 5
done

driver=$(request serverless "$from" "$(target "$node_version" "$architecture")" "$input" "$output" "$model" "$components")
overrides="{\"monitoringConfiguration\": {\"s3MonitoringConfiguration\": {\"logUri\": \"$logs\"}}}"
job=$(aws emr-serverless start-job-run --name coulis --application-id "$application" --execution-role-arn "$role" \
    --job-driver "$driver" --configuration-overrides "$overrides" --query jobRunId --output text)
echo "run-serverless: job $job of application $application" >&2
state=''
while [ "$state" != SUCCESS ]; do
    state=$(aws emr-serverless get-job-run --application-id "$application" --job-run-id "$job" --query jobRun.state --output text)
    case $state in
    SUCCESS) ;;
    FAILED | CANCELLED) die "job $job ended as $state: ${logs}applications/$application/jobs/$job/ says why" ;;
    *) sleep 10 ;;
    esac
done
echo "$output"
