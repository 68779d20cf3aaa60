"""What is inside an artefact, as a CycloneDX document: name, version, licence and origin of each part."""

import datetime
import os
import uuid

SPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 9562's for URLs


def component(part):
    return {
        "type": "machine-learning-model" if "safetensors" in part.files else "library",
        "bom-ref": part.source,
        "name": part.name,
        "version": part.version,
        "licenses": [{"expression": part.licence}],
        "purl": part.source,
        "properties": [{"name": "coulis:files", "value": part.files}],
    }


def document(version, parts, file=None, sha256=None):
    """The document of an artefact: of a wheel as it is made, or of a file whose SHA-256 is known. The same for the same
    content: its time is that of SOURCE_DATE_EPOCH, its number follows from what is in it."""
    purl = f"pkg:pypi/coulis@{version}" + (f"?file_name={file}" if file else "")
    own = {
        "type": "application",
        "bom-ref": purl,
        "name": "coulis",
        "version": version,
        "licenses": [{"license": {"id": "MIT"}}],
        "purl": purl,
    }
    if sha256:
        own["hashes"] = [{"alg": "SHA-256", "content": sha256}]
    components = [component(part) for part in parts]
    when = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), datetime.timezone.utc)
    number = uuid.uuid5(SPACE, repr((own, components)))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{number}",
        "version": 1,
        "metadata": {"timestamp": when.strftime("%Y-%m-%dT%H:%M:%SZ"), "component": own},
        "components": components,
        "dependencies": [
            {"ref": purl, "dependsOn": [part["bom-ref"] for part in components]},
            *({"ref": part["bom-ref"]} for part in components),
        ],
    }
