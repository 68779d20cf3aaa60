#!/bin/bash
# Bootstrap action of Amazon EMR: puts coulis on this node, for the system's Python.
#
#   bootstrap.sh s3://BUCKET/PREFIX [PYTHON]
#
# PREFIX is what emr/upload.sh filled: for each Python and processor a folder, such as python3.9-x86_64, with wheels/,
# models/ and SHA256SUMS. PYTHON is the one that Spark runs (/usr/bin/python3). Nothing is compiled and nothing is fetched from
# elsewhere. A second run finds everything done. Any failure ends it with a line that begins "bootstrap:", and EMR then
# ends the cluster; the line is in LOG_BUCKET/CLUSTER/node/INSTANCE/bootstrap-actions/.
set -euo pipefail
trap 'echo "bootstrap: line $LINENO failed: $BASH_COMMAND" >&2' ERR
die() { echo "bootstrap: $*" >&2; exit 1; }

[ $# -eq 1 ] || [ $# -eq 2 ] || die "s3://BUCKET/PREFIX is needed, and a Python may follow; $# arguments came"
PREFIX=${1%/}
PYTHON=${COULIS_PYTHON:-${2:-/usr/bin/python3}} # the same as in hand-tuned.json, for Spark and Livy
HOME_FOLDER=${COULIS_FOLDER:-/opt/coulis} # hand-tuned.json names /opt/coulis/models
case $PREFIX in s3://?*/?*) ;; *) die "not of the form s3://BUCKET/PREFIX: $1" ;; esac

# Bootstrap actions run as user hadoop, who may become root without a password.
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi; }

command -v aws >/dev/null || die "the AWS CLI is not on this node"
[ -x "$PYTHON" ] || die "no Python at $PYTHON; this node has $(echo /usr/bin/python3* /usr/local/bin/python3*)"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 9))' || die "$PYTHON is older than 3.9"
# What upload.sh names the folder for nodes like this one.
KIND=python$("$PYTHON" -c 'import platform, sys; print("%d.%d-%s" % (*sys.version_info[:2], platform.machine()))')
SOURCE=$PREFIX/$KIND
"$PYTHON" -m pip --version >/dev/null 2>&1 || as_root "$PYTHON" -m ensurepip >/dev/null 2>&1 || die "$PYTHON has no pip"

# A run from a folder where nothing lies that Python could import instead, without the user's own packages.
works() {
    (cd / && COULIS_MODELS="$HOME_FOLDER/models" "$PYTHON" -s -c '
import coulis
for name, path in coulis.list_models().items():
    if path.endswith(".safetensors"):
        coulis.Featurizer(name, threads=1)
')
}

FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT
aws s3 cp --only-show-errors "$SOURCE/SHA256SUMS" "$FOLDER/SHA256SUMS" || die "cannot read $SOURCE/SHA256SUMS: was emr/upload.sh run for $KIND, and may this node's role read the bucket?"
if cmp -s "$FOLDER/SHA256SUMS" "$HOME_FOLDER/SHA256SUMS" && works 2>/dev/null; then
    echo "bootstrap: everything of $SOURCE is installed already"
    exit 0
fi

for part in wheels models; do
    aws s3 cp --only-show-errors --recursive "$SOURCE/$part" "$FOLDER/$part" || die "cannot read $SOURCE/$part"
done
(cd "$FOLDER" && sha256sum --check --strict --quiet SHA256SUMS >&2) || die "what came from $SOURCE is not what emr/upload.sh put there"
wheel=$(find "$FOLDER/wheels" -name 'coulis-*.whl')
[ "$(printf '%s\n' "$wheel" | grep -c .)" -eq 1 ] || die "$SOURCE/wheels holds no wheel of coulis, or more than one"

# --no-index: from the folder alone, and a package that is missing there is an error. The node's own NumPy, where it has
# one, stays when it is the pinned one.
as_root "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --force-reinstall "$wheel"
as_root "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-index --find-links "$FOLDER/wheels" \
    --only-binary :all: -r "$FOLDER/wheels/requirements.txt" coulis
as_root mkdir -p "$HOME_FOLDER/models"
as_root cp -r "$FOLDER/models/." "$HOME_FOLDER/models/"
as_root chmod -R a+rX "$HOME_FOLDER"

works || die "coulis was installed and does not work: the lines above say why"
as_root cp "$FOLDER/SHA256SUMS" "$HOME_FOLDER/SHA256SUMS" # last: a node that failed half-way begins again
cd /
"$PYTHON" -s -c 'import coulis, numpy; print("bootstrap: coulis", coulis.__version__, "with NumPy", numpy.__version__)'
