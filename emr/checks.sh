# What create-cluster.sh, upload.sh and the run-*.sh share: checks of the values given, and what is known of releases and
# instance types. The script that reads this brings a function `die`.
# shellcheck shell=bash disable=SC2034

# Values that go into lines of options, where commas, brackets, quotes and blanks have a meaning of their own.
plain() { [[ $2 =~ ^[A-Za-z0-9_./:@+=-]+$ ]] || die "$1 is missing, or has a character other than letters, digits and _./:@+=-: '$2'"; }
# Addresses go into JSON, which request.py writes, so that blanks and the like do no harm.
uri() {
    [[ $2 =~ ^s3a?://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^[:cntrl:]\"\\]*)?$ ]] || die "$1 is not an S3 address: '$2'"
}
count() { [[ $2 =~ ^[0-9]{1,4}$ && $2 -ge $3 ]] || die "$1 must be a whole number from $3 on: '$2'"; }
components() {
    [[ $1 =~ ^(0?\.[0-9]*[1-9][0-9]*|[1-9][0-9]*)$ ]] || die "--components is neither a whole number nor a share below 1: '$1'"
}

DEFAULT_RELEASE=emr-7.13.0
# Sets what a release brings: node_python and node_version, the Python that coulis is installed for, packages, the
# pinned list of what is installed beside it, and applications.
release() {
    [[ $1 =~ ^emr-[a-z0-9.-]+$ ]] || die "--release is not a label such as $DEFAULT_RELEASE or emr-spark-8.1.0: '$1'"
    case $1 in
    emr-[1-6].*) die "--release $1 has Python 3.7 and a C library older than 2.34; coulis needs emr-7.0.0 or later" ;;
    emr-7.* | emr-7-*) # Amazon Linux 2023 and its own Python 3.9, Spark 3.5
        node_python=/usr/bin/python3 node_version=3.9 packages=requirements.txt
        applications=(Hadoop Spark Livy JupyterEnterpriseGateway)
        [[ $1 =~ ^emr-7\.([0-9]|1[0-4])\.[0-9]+ ]] || echo "warning: release $1 is not known here; it is taken to be like $DEFAULT_RELEASE" >&2
        ;;
    *) # Spark 4, which needs Python 3.10 or later; YARN and HDFS come with Spark and are not applications of their own
        node_python=/usr/bin/python3.11 node_version=3.11 packages=requirements-spark4.txt
        applications=(Spark Livy JupyterEnterpriseGateway)
        [[ $1 =~ ^emr-spark-8\.[01]\.[0-9]+ ]] || echo "warning: release $1 is not known here; it is taken to be like emr-spark-8.1.0" >&2
        ;;
    esac
}

# Prints the processor of an instance type as `uname -m` names it. In the name of a type a g right behind the generation
# stands for Graviton (m7g, m8g, c7gn, g5g); a1 was its first.
architecture() {
    [[ $1 =~ ^[a-z]+[0-9]*[a-z0-9-]*\.[a-z0-9-]+$ ]] || die "not an instance type: '$1'"
    if [[ $1 =~ ^([a-z]+[0-9]+g|a1\.|is4gen|im4gn) ]]; then echo aarch64; else echo x86_64; fi
}

# What upload.sh makes for one Python on one kind of processor is in a folder of this name below --from.
target() { echo "python$1-$2"; }

# Ends before anything costs money when upload.sh has put nothing there for these nodes.
uploaded() {
    local folder
    folder=$(target "$node_version" "$2")
    aws s3 ls "$1/$folder/SHA256SUMS" >/dev/null ||
        die "$1 has no packages for Python $node_version on $2: emr/upload.sh '$1' --release $3 --architecture $2 puts them there"
}
