"""``coulis s3-check s3://bucket/prefix``: can this machine list, read, write and delete there?

A line for each step, and for the one that fails a sentence on what to do. Needs boto3, and takes keys, region and
endpoint from where boto3 does: the environment, ~/.aws, or the role of the machine.
"""

import argparse
import os
import re
import sys
import uuid

ADDRESS = re.compile(r"s3[an]?://([^/]+)(?:/(.*))?$")
TRIES = 2  # of each request; boto3 itself waits up to a minute for an endpoint that is not there
SECONDS = 10  # that a server may take to answer

# What S3 and its likes answer, and what to do about it. {bucket}, {where} and {region} are filled in.
ANSWERS = {
    "NoSuchBucket": "there is no bucket {bucket!r} {where}: check its name, and whether it lies elsewhere",
    "InvalidBucketName": "{bucket!r} cannot be the name of a bucket: 3 to 63 lower-case letters, digits or dashes",
    "InvalidAccessKeyId": "the access key is not known {where}: check AWS_ACCESS_KEY_ID, or the profile in ~/.aws",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key: check AWS_SECRET_ACCESS_KEY",
    "AccessDenied": "these keys may not do this in the bucket {bucket!r}: its owner can allow {permission}",
    "ExpiredToken": "the session has expired: log in again, or renew AWS_SESSION_TOKEN",
    "InvalidToken": "the session token is not valid {where}: check AWS_SESSION_TOKEN; lasting keys need none",
    "RequestTimeTooSkewed": "the clock of this machine is wrong by more than a quarter of an hour: set it",
    "PermanentRedirect": "the bucket {bucket!r} lies in another region than {region!r}: set AWS_REGION",
    "QuotaExceeded": "there is no room left in the bucket {bucket!r}",
}
SAME_AS = {
    "403": "AccessDenied",
    "404": "NoSuchBucket",
    "301": "PermanentRedirect",
    "AuthorizationHeaderMalformed": "PermanentRedirect",
    "IllegalLocationConstraintException": "PermanentRedirect",
    "XAdminUserNotFound": "InvalidAccessKeyId",  # of versitygw
    "AllAccessDisabled": "AccessDenied",
    "TokenRefreshRequired": "ExpiredToken",
}
NO_KEYS = (
    "there are no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role"
)


class Failed(Exception):
    """A step that failed; its text is the sentence."""


class Place:
    """A bucket and a prefix, and the client that talks to it."""

    def __init__(self, address, endpoint=None, region=None):
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise Failed("this check needs boto3, which is not installed: pip install boto3") from None
        found = ADDRESS.match(address)
        if not found:
            raise Failed(f"{address!r} is no address in S3: it should look like s3://bucket/folder")
        self.bucket, self.prefix = found[1], (found[2] or "").strip("/")
        self.session = boto3.session.Session()
        config = Config(connect_timeout=SECONDS, read_timeout=SECONDS, retries={"total_max_attempts": TRIES})
        # boto3 knows AWS_DEFAULT_REGION alone; every other tool of Amazon reads AWS_REGION.
        self.region = region or os.environ.get("AWS_REGION") or self.session.region_name
        self.attempt(None, self._connect, endpoint, config)

    def _connect(self, endpoint, config):
        self.client = self.session.client("s3", endpoint_url=endpoint, region_name=self.region, config=config)
        self.where = f"at {self.client.meta.endpoint_url}"

    def attempt(self, permission, call, *arguments, **more):
        """Calls, and turns what boto3 raises into a sentence."""
        from botocore import exceptions

        try:
            return call(*arguments, **more)
        except exceptions.ClientError as error:
            answer = error.response.get("Error", {})
            code = SAME_AS.get(str(answer.get("Code")), str(answer.get("Code")))
            sentence = ANSWERS.get(code, "{where} answers: " + f"{code}: {answer.get('Message')}".replace("{", "{{"))
            filled = sentence.format(bucket=self.bucket, where=self.where, region=self.region, permission=permission)
            raise Failed(filled) from None
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError):
            raise Failed(NO_KEYS) from None
        except (exceptions.HTTPClientError, exceptions.EndpointConnectionError) as error:
            raise Failed(f"nobody answers {self.where}: check the address, AWS_ENDPOINT_URL and the network "
                         f"({error})") from None
        except (exceptions.BotoCoreError, ValueError) as error:
            raise Failed(f"{error}") from None


def steps(place):
    """The steps, each a generator's turn: the line that says what was done."""
    client, bucket = place.client, place.bucket
    credentials = place.attempt(None, place.session.get_credentials)
    if credentials is None:
        raise Failed(NO_KEYS)
    yield f"keys      {credentials.access_key[:4]}... (from {credentials.method})"
    if place.region is None:
        raise Failed("there is no region: set AWS_REGION, for example AWS_REGION=eu-west-1, or give --region")
    yield f"region    {place.region}, {place.where}"
    prefix = place.prefix + "/" if place.prefix else ""
    listed = place.attempt("s3:ListBucket", client.list_objects_v2, Bucket=bucket, Prefix=prefix, MaxKeys=1000)
    objects = [entry for entry in listed.get("Contents", []) if entry["Size"] > 0]
    more = " or more" if listed.get("IsTruncated") else ""
    yield f"list      {len(objects)}{more} objects in s3://{bucket}/{prefix}"
    if objects:
        key = objects[0]["Key"]
        body = place.attempt("s3:GetObject", client.get_object, Bucket=bucket, Key=key)["Body"]
        yield f"read      s3://{bucket}/{key}: {len(place.attempt('s3:GetObject', body.read))} bytes"
    else:
        yield "read      not tried: there is no object to read"
    key = f"{prefix}coulis-s3-check-{uuid.uuid4().hex}"
    body = b"written by coulis s3-check; may be deleted\n"
    place.attempt("s3:PutObject", client.put_object, Bucket=bucket, Key=key, Body=body)
    yield f"write     s3://{bucket}/{key}"
    place.attempt("s3:DeleteObject", client.delete_object, Bucket=bucket, Key=key)
    yield f"delete    s3://{bucket}/{key}"


def main(arguments=None):
    """Returns the exit code: 0 when every step went well, 1 when one failed, 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="coulis s3-check", description=__doc__.partition("\n")[0])
    parser.add_argument("address", help="s3://bucket/prefix")
    parser.add_argument("--endpoint", help="URL of a server other than Amazon's (default: AWS_ENDPOINT_URL)")
    parser.add_argument("--region", help="region of the bucket (default: AWS_REGION, or that of the profile)")
    options = parser.parse_args(arguments)
    try:
        for line in steps(Place(options.address, options.endpoint, options.region)):
            print(f"ok    {line}", flush=True)
    except Failed as error:
        print(f"coulis s3-check: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
