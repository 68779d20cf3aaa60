# Checks of the values given to create-cluster.sh and run-serverless.sh, which bring a function `die`.
# shellcheck shell=bash

# Values go into the AWS CLI's shorthand, into JSON and into lines of options, where commas, brackets, quotes and blanks
# have a meaning of their own.
plain() { [[ $2 =~ ^[A-Za-z0-9_./:@+=-]+$ ]] || die "$1 is missing, or has a character other than letters, digits and _./:@+=-: '$2'"; }
uri() { plain "$1" "$2"; [[ $2 =~ ^s3a?://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/|$) ]] || die "$1 is no S3 address: '$2'"; }
