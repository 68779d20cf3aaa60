#!/usr/bin/env bash
# Puts into S3 what a cluster needs: the wheel, the Python packages beside it, models and scripts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
die() { echo "upload: $*" >&2; exit 1; }
# shellcheck source=emr/checks.sh
source emr/checks.sh

usage() {
    cat <<'TEXT'
emr/upload.sh s3://BUCKET/PREFIX [--release LABEL] [--instance TYPE | --architecture A] [MODEL.safetensors...]

  --release LABEL     release of EMR, which decides on the Python of the nodes (emr-7.13.0)
  --instance TYPE     instance type of the nodes, which decides on their processor (m6i.2xlarge): m7g is Graviton
  --architecture A    the same by name: x86_64 or aarch64
  MODEL.safetensors   networks beside EfficientNet-Lite0, which is inside the wheel

The wheel comes from dist/: ./run wheel makes it, for 64-bit ARM on x86-64, too. Several releases and processors can be
uploaded to the same PREFIX, one after another. COULIS_NODE_PYTHON names another version of the nodes' Python.
TEXT
}

target='' release=$DEFAULT_RELEASE architecture=x86_64 models=()
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help) usage; exit 0 ;;
    --release | --instance | --architecture)
        [ $# -ge 2 ] || die "$1 needs a value"
        case $1 in
        --release) release=$2 ;;
        --instance) architecture=$(architecture "$2") ;;
        --architecture) architecture=$2 ;;
        esac
        shift
        ;;
    -*) die "no such option: $1 (--help lists them)" ;;
    *) if [ -z "$target" ]; then target=${1%/}; else models+=("$1"); fi ;;
    esac
    shift
done
[ -n "$target" ] || die "say where to: emr/upload.sh s3://BUCKET/PREFIX (--help lists the options)"
case $target in s3://?*/?*) ;; *) die "not of the form s3://BUCKET/PREFIX: $target" ;; esac
case $architecture in x86_64 | aarch64) ;; *) die "--architecture is neither x86_64 nor aarch64: '$architecture'" ;; esac
release "$release"
node_version=${COULIS_NODE_PYTHON:-$node_version}
PYTHON=${PYTHON:-python3}
command -v aws >/dev/null || die "the AWS CLI is not installed"
shopt -s nullglob
wheels=(dist/coulis-*-manylinux*_"$architecture".whl "dist/$architecture"/coulis-*-manylinux*_"$architecture".whl)
[ ${#wheels[@]} -eq 1 ] ||
    die "dist/ holds no portable wheel for $architecture, or several: ./run wheel $architecture makes it"
for model in "${models[@]}"; do [ -f "$model" ] || die "no such model: $model"; done

FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT
mkdir "$FOLDER/wheels" "$FOLDER/models"
cp "${wheels[0]}" "$FOLDER/wheels/"
# For the nodes, whatever runs here.
node=(--quiet --disable-pip-version-check --no-deps --only-binary :all: --implementation cp
    --python-version "$node_version")
for tag in manylinux_2_34 manylinux_2_28 manylinux_2_27 manylinux_2_17 manylinux2014; do node+=(--platform "${tag}_$architecture"); done
"$PYTHON" -m pip download "${node[@]}" --require-hashes -r "emr/$packages" -d "$FOLDER/wheels"
# Without hashes: bootstrap.sh has checked every file by SHA256SUMS, and pip wants all hashes or none.
sed -n 's/^\([A-Za-z0-9_-]*==[^ ;]*\).*/\1/p' "emr/$packages" >"$FOLDER/wheels/requirements.txt"
for model in "${models[@]}"; do cp "$model" "$FOLDER/models/"; done
cp models/*.json "$FOLDER/models/" # S3 has no empty folders; the recipes also say what licence a model has
# The same as one folder to put on PYTHONPATH: EMR Serverless and EMR on EKS unpack it for a job, as there is no node to
# install on.
"$PYTHON" -m pip install "${node[@]}" --no-index --target "$FOLDER/site" "$FOLDER"/wheels/*.whl
cp -r "$FOLDER/models" "$FOLDER/site/models"
tar -c -C "$FOLDER/site" . | gzip -1 >"$FOLDER/site.tar.gz"
rm -r "$FOLDER/site"
(cd "$FOLDER" && find wheels models -type f | LC_ALL=C sort | xargs -d '\n' sha256sum >SHA256SUMS)
folder=$(target "$node_version" "$architecture")
# --delete: an older wheel must not stay beside the new one.
aws s3 sync --only-show-errors --delete "$FOLDER" "$target/$folder"
for script in bootstrap.sh job.py; do aws s3 cp --only-show-errors "emr/$script" "$target/$script"; done
echo "upload: bootstrap.sh and job.py are in $target, $(wc -l <"$FOLDER/SHA256SUMS") files and site.tar.gz for Python $node_version on $architecture in $target/$folder"
