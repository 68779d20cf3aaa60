#!/usr/bin/env bash
# Puts into S3 what a cluster needs: the wheel, the Python packages beside it, models and scripts.
#
#   emr/upload.sh s3://BUCKET/PREFIX [MODEL.safetensors...]
#
# COULIS_NODE_PYTHON is the version of Python on the nodes: 3.9, that of Amazon Linux 2023.
# The wheel comes from dist/ (./run wheel). Without MODEL the cluster has EfficientNet-Lite0, which is inside the wheel.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
die() { echo "upload: $*" >&2; exit 1; }

[ $# -ge 1 ] || die "say where to: emr/upload.sh s3://BUCKET/PREFIX [MODEL.safetensors...]"
TARGET=${1%/}
shift
case $TARGET in s3://?*/?*) ;; *) die "not of the form s3://BUCKET/PREFIX: $TARGET" ;; esac
PYTHON=${PYTHON:-python3}
command -v aws >/dev/null || die "the AWS CLI is not installed"
shopt -s nullglob
wheels=(dist/coulis-*-manylinux*_x86_64.whl)
[ ${#wheels[@]} -eq 1 ] || die "dist/ holds no portable wheel, or several: ./run wheel makes it"

FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT
mkdir "$FOLDER/wheels" "$FOLDER/models"
cp "${wheels[0]}" "$FOLDER/wheels/"
# For the nodes, whatever runs here.
node=(--quiet --disable-pip-version-check --no-deps --only-binary :all: --implementation cp
    --python-version "${COULIS_NODE_PYTHON:-3.9}" --platform manylinux_2_34_x86_64 --platform manylinux_2_28_x86_64
    --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64)
"$PYTHON" -m pip download "${node[@]}" --require-hashes -r emr/requirements.txt -d "$FOLDER/wheels"
# Without hashes: bootstrap.sh has checked every file by SHA256SUMS, and pip wants all hashes or none.
sed -n 's/^\([A-Za-z0-9_-]*==[^ ;]*\).*/\1/p' emr/requirements.txt >"$FOLDER/wheels/requirements.txt"
for model in "$@"; do
    [ -f "$model" ] || die "no such model: $model"
    cp "$model" "$FOLDER/models/"
done
cp models/*.toml "$FOLDER/models/" # S3 has no empty folders; the recipes also say what licence a model has
# The same as one folder to put on PYTHONPATH: EMR Serverless unpacks it for a job, as there is no node to install on.
"$PYTHON" -m pip install "${node[@]}" --no-index --target "$FOLDER/site" "$FOLDER"/wheels/*.whl
cp -r "$FOLDER/models" "$FOLDER/site/models"
tar -c -C "$FOLDER/site" . | gzip -1 >"$FOLDER/site.tar.gz"
rm -r "$FOLDER/site"
(cd "$FOLDER" && find wheels models -type f | LC_ALL=C sort | xargs -d '\n' sha256sum >SHA256SUMS)
cp emr/bootstrap.sh emr/job.py "$FOLDER/"
# --delete: an older wheel must not stay beside the new one.
aws s3 sync --only-show-errors --delete "$FOLDER" "$TARGET"
echo "upload: $(wc -l <"$FOLDER/SHA256SUMS") files, bootstrap.sh, job.py and site.tar.gz are in $TARGET"
