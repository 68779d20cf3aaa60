#!/usr/bin/env bash
# What the groups `spark` and `spark_connect` need, in build/spark; sourced by ./run, whose functions and variables it uses.
#   driver/   Python with PySpark, boto3 and pytest     worker/  Python of the executors: NumPy, pyarrow, our wheel
#   connect/  the same, and what Spark Connect needs    spark-V/ another Spark with another Python, and our wheel
#   ivy/jars  Spark's S3 client                         bin/     versitygw, an S3 server
# shellcheck shell=bash

SPARK=$BUILD/spark
PAIRS="3.5:3.9 4.1:3.13" # of Spark and Python, where this system has that Python
VERSITYGW=v1.8.0 # needs Go 1.25
GO=go1.25.7
AWS_SDK=2.35.4 # the one that Hadoop 3.5.0, which is Spark 4.3's, was built with
# hadoop-aws asks for `bundle`, 600 MB with every service of Amazon; these are the parts it uses, 17 MB.
S3_PACKAGES=org.apache.hadoop:hadoop-aws:3.5.0,software.amazon.awssdk:s3:$AWS_SDK
S3_PACKAGES+=,software.amazon.awssdk:s3-transfer-manager:$AWS_SDK,software.amazon.awssdk:sts:$AWS_SDK
S3_PACKAGES+=,software.amazon.s3.analyticsaccelerator:analyticsaccelerator-s3:1.3.1
S3_EXCLUDED=software.amazon.awssdk:bundle,org.wildfly.openssl:wildfly-openssl

# A virtual environment $1 with the hash-pinned list $2, once per content of the list; made by the Python $3.
spark_venv() {
    local folder=$SPARK/$1 list=$2 python=${3:-$VENV/bin/python}
    mkdir -p "$SPARK"
    cmp -s "$list" "$folder/.installed" && return
    say "installing Python packages into build/spark/$1: $list"
    "$python" -m venv --clear "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$list"
    cp "$list" "$folder/.installed"
}

# A Python of version $1, in PATH or of pyenv; nothing where there is none.
python_of() {
    local python
    for python in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        if "$python" -c 'import venv, ensurepip' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
}

# The wheel of this checkout in the named environments.
spark_wheel() {
    local name stamp stale=()
    for name in "$@"; do
        stamp=$SPARK/$name/.wheel
        [ -f "$stamp" ] && [ -z "$(find src include cli python models cmake CMakeLists.txt pyproject.toml -newer "$stamp" \
            -type f -not -name '*.pyc' -print -quit)" ] || stale+=("$name")
    done
    [ ${#stale[@]} -gt 0 ] || return 0
    say "making a wheel for the executors"
    (wheel "$(uname -m)") >/dev/null
    for name in "${stale[@]}"; do
        "$SPARK/$name/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall dist/*.whl
        touch "$SPARK/$name/.wheel"
    done
}

# Spark's own Ivy fetches the jars; what it fetched is checked against their SHA-256.
spark_jars() {
    local jars=$SPARK/ivy/jars
    [ -d "$jars" ] && (cd "$jars" && sha256sum --quiet -c "$ROOT/requirements/spark-jars.sha256" 2>/dev/null) && return
    say "fetching Spark's S3 client: requirements/spark-jars.sha256"
    echo 'pass' >"$SPARK/nothing.py"
    PYSPARK_PYTHON=$SPARK/driver/bin/python PYSPARK_DRIVER_PYTHON=$SPARK/driver/bin/python \
        "$SPARK/driver/bin/spark-submit" --master local --conf spark.jars.ivy="$SPARK/ivy" --packages "$S3_PACKAGES" \
        --exclude-packages "$S3_EXCLUDED" "$SPARK/nothing.py" >"$SPARK/ivy.log" 2>&1 ||
        { tail -20 "$SPARK/ivy.log" >&2; die "the jars could not be fetched"; }
    (cd "$jars" && sha256sum --quiet -c "$ROOT/requirements/spark-jars.sha256") || die "a jar has another SHA-256 than expected"
}

# A Go that can build versitygw. From 1.21 on Go fetches a newer one by itself; Debian 12 has 1.19, which can fetch it
# as the module it is.
find_go() {
    local go
    go=$(command -v go)
    if [[ $("$go" version) =~ go1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -lt 21 ]; then
        local folder
        folder=$("$go" mod download -json "golang.org/toolchain@v0.0.1-$GO.linux-$(dpkg --print-architecture)" |
            sed -n 's/^\t"Dir": "\(.*\)",\?$/\1/p')
        chmod -R u+w "$folder"
        chmod +x "$folder"/bin/* "$folder"/pkg/tool/*/* # a module keeps no such bits
        go=$folder/bin/go
    fi
    echo "$go"
}

spark_s3_server() {
    mkdir -p "$SPARK"
    [ "$(cat "$SPARK/bin/.version" 2>/dev/null)" = "$VERSITYGW" ] && return
    local go
    go=$(find_go)
    say "building versitygw $VERSITYGW with $("$go" version)"
    GOBIN=$SPARK/bin GOFLAGS=-buildvcs=false "$go" install "github.com/versity/versitygw/cmd/versitygw@$VERSITYGW"
    echo "$VERSITYGW" >"$SPARK/bin/.version"
}

# Debian packages that function $1 needs; apt is for one at a time.
spark_packages() {
    [ "$1" = spark_s3_server ] || packages openjdk-17-jre-headless
    command -v go >/dev/null || packages golang-go ca-certificates
}

# What needs no wheel: two minutes of downloads and of Go's compiler, beside what ./run compiles itself.
spark_fetch() {
    local pair python
    for pair in $PAIRS; do
        python=$(python_of "${pair#*:}")
        [ -z "$python" ] || spark_venv "spark-${pair%:*}" "requirements/spark-${pair%:*}.txt" "$python"
    done
    spark_venv driver requirements/spark.txt
    spark_venv connect requirements/spark-connect.txt
    spark_venv worker requirements/spark-worker.txt
    spark_jars
    spark_s3_server
}

spark_environment() {
    local names=(worker) folder
    for folder in "$SPARK"/spark-*/; do
        [ ! -d "$folder" ] || names+=("$(basename "$folder")")
    done
    spark_wheel "${names[@]}"
    say "build/spark is ready: $(du -sh "$SPARK" | cut -f1) of PySpark, NumPy, pyarrow, the wheel, Hadoop's S3 client," \
        "and an S3 server"
}

# For ./run bench spark: one Python with all of it, for the driver and the executors.
spark_bench_environment() {
    packages openjdk-17-jre-headless
    mkdir -p "$SPARK"
    spark_venv bench requirements/spark-bench.txt
    spark_wheel bench
}
