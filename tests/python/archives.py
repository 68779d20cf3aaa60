"""Archives and tables as strangers make them: good ones, and ones that lie.

Run as a program, it writes them to tests/data: good ones to seeds/READER/, from which fuzzing begins and damaged copies
are made (tests/c/test_hostile.c), the others to hostile/READER/, which every build reads under the sanitizers.
"""

import gzip
import io
import struct
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

TIME = (2020, 2, 29, 12, 0, 0)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(grey):
    """An image of 8 x 8 pixels of one grey."""
    lines = b"".join(b"\0" + bytes([grey] * 8) for _ in range(8))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(lines, 9))
        + chunk(b"IEND", b"")
    )


# ---- tar ----


def tar_header(name, size=0, kind=b"0", mode=b"0000644\0", size_field=None, prefix=b"", magic=b"ustar\x0000"):
    """A header block with a right check sum, whatever it claims."""
    block = bytearray(512)
    block[0 : len(name)] = name
    block[100:108] = mode
    block[124:136] = size_field if size_field is not None else b"%011o\0" % size
    block[136:148] = b"13700000000\0"
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[257:265] = magic
    block[345 : 345 + len(prefix)] = prefix
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def member(name, data, **more):
    return tar_header(name, len(data), **more) + data + bytes(-len(data) % 512)


def pax(**records):
    body = b""
    for key, value in records.items():
        record = f" {key}={value}\n".encode()
        length = len(record) + 1
        while len(str(length)) + len(record) != length:
            length += 1
        body += str(length).encode() + record
    return member(b"pax", body, kind=b"x")


END = bytes(1024)


def tars():
    """name -> (bytes, what happens: the statuses of the rows, or a word of the sentence that ends the command)."""
    good, size = member(b"a/1.png", png(10)), len(png(10))
    packed = gzip.compress(good + END, mtime=0)
    return {
        "size_beyond_the_end": (good + tar_header(b"b.png", 1 << 30) + b"short", ["ok", "unreadable"]),
        "size_of_exabytes": (
            good + tar_header(b"b.png", size_field=b"\x80" + b"\0" * 3 + b"\x7f" + b"\xff" * 7) + END,
            ["ok", "too_large", "unreadable"],
        ),
        "size_beyond_64_bits": (good + tar_header(b"b.png", size_field=b"\xff" * 12) + END, ["ok", "unreadable"]),
        "size_is_no_number": (good + tar_header(b"b.png", size_field=b"many bytes\0\0") + END, ["ok", "unreadable"]),
        "pax_size_beyond_64_bits": (good + pax(size="9" * 30) + member(b"b.png", png(1)) + END, ["ok", "unreadable"]),
        "pax_size_is_negative": (good + pax(size="-1") + member(b"b.png", png(1)) + END, ["ok", "unreadable"]),
        "pax_record_longer_than_its_header": (
            good + member(b"x", b"999 path=a\n", kind=b"x") + END,
            ["ok", "unreadable"],
        ),
        "pax_record_without_end": (good + member(b"x", b"12 path=abcdefgh", kind=b"x") + END, ["ok", "unreadable"]),
        "pax_length_of_nothing": (good + member(b"x", b"0 a=b\n", kind=b"x") + END, ["ok", "unreadable"]),
        "pax_header_of_megabytes": (good + tar_header(b"x", 1 << 40, kind=b"x") + bytes(512), ["ok", "unreadable"]),
        "headers_without_end": (good + pax(comment="x") * 100, ["ok", "unreadable"]),
        "long_names_without_end": (good + member(b"l", b"n" * 400, kind=b"L") * 100, ["ok", "unreadable"]),
        "long_name_of_nothing": (good + tar_header(b"l", 0, kind=b"L") + member(b"b.png", png(1)) + END, ["ok", "ok"]),
        "cut_in_a_header": (good + tar_header(b"b.png", size)[:300], ["ok", "unreadable"]),
        "cut_in_a_member": (good + member(b"b.png", png(1))[: 512 + 20], ["ok", "unreadable"]),
        "check_sum_is_wrong": (good + bytes([ord("x")]) + member(b"b.png", png(1))[1:] + END, ["ok", "unreadable"]),
        "climbing_names": (
            member(b"../../etc/x.png", png(1))
            + member(b"/etc/passwd.png", png(2))
            + member(b"a/../../y.png", png(3))
            + END,
            ["ok", "ok", "ok"],
        ),
        "name_without_end": (
            member(b"n" * 100, png(1)) + member(b"p" * 100, png(2), prefix=b"q" * 155) + END,
            ["ok", "ok"],
        ),
        "devices_and_links": (
            tar_header(b"fifo", kind=b"6")
            + tar_header(b"dev", kind=b"3")
            + tar_header(b"l", kind=b"2")
            + tar_header(b"s", 1 << 20, kind=b"S")
            + good,
            ["unreadable", "unreadable"],
        ),
        "gzip_cut": (packed[:-20], "is cut short"),
        "gzip_damaged": (packed[:40] + b"\xff\xff\xff\xff" + packed[44:], "gzip"),
        "gzip_with_padding": (packed + bytes(300000), ["ok"]),
        "gzip_with_rubbish": (packed + b"rubbish", ["ok"]),
        "gzip_that_expands": (
            gzip.compress(good + tar_header(b"b.png", 30 << 20) + bytes(30 << 20) + END, mtime=0),
            ["ok", "unsupported"],
        ),
        "sample_of_fields_alone": (
            member(b"1.cls", b"7") + member(b"1.cls", b"8") + member(b"1.json", b"{") + END,
            ["unsupported"],
        ),
    }


def good_tars():
    found = {}
    for kind, form in (("ustar", tarfile.USTAR_FORMAT), ("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT)):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form) as archive:
            for name in ("./red/1.png", "1.cls", "1.png", "1.json", "K\u00fcrbis.png", "d/" * 40 + "x.png"):
                data = png(len(name)) if name.endswith(".png") else b'{"a": 1}'
                info = tarfile.TarInfo(name)
                info.size, info.mtime = len(data), 1500000000.5 if kind == "pax" else 1500000000
                archive.addfile(info, io.BytesIO(data))
            link = tarfile.TarInfo("link.png")
            link.type, link.linkname = tarfile.SYMTYPE, "1.png"
            archive.addfile(link)
        found[kind] = out.getvalue().rstrip(b"\0") + END
    found["gz"] = gzip.compress(found["gnu"], mtime=0)
    return found


# ---- zip ----


def entry(name, data, *, method=0, packed=None, offset=0, claimed=None, packed_size=None, crc=None, flags=0, extra=b""):
    """A member: what stands before its bytes, these, and its entry in the directory."""
    packed = data if packed is None else packed
    crc = zlib.crc32(data) if crc is None else crc
    sizes = (len(packed) if packed_size is None else packed_size, len(data) if claimed is None else claimed)
    local = struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, flags, method, 0, 0x505D, crc, *sizes, len(name), 0) + name
    central = (
        struct.pack(
            "<IHHHHHHIIIHHHHHII",
            0x02014B50,
            20,
            20,
            flags,
            method,
            0,
            0x505D,
            crc,
            *sizes,
            len(name),
            len(extra),
            0,
            0,
            0,
            0,
            offset,
        )
        + name
        + extra
    )
    return local + packed, central


def zip_of(*entries, rest=b"", count=None, size=None, offset=None, comment=b""):
    """An archive of members and their directory, whatever the end claims."""
    body, directory = b"".join(e[0] for e in entries) + rest, b"".join(e[1] for e in entries)
    count = len(entries) if count is None else count
    end = struct.pack(
        "<IHHHHIIH",
        0x06054B50,
        0,
        0,
        count,
        count,
        len(directory) if size is None else size,
        len(body) if offset is None else offset,
        len(comment),
    )
    return body + directory + end + comment


def deflate(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def zips():
    image, name = png(10), b"a/1.png"
    good = entry(name, image)
    after = len(good[0])
    zeros = bytes(1 << 20)
    bomb = deflate(zeros)

    def second(data=image, **more):
        return zip_of(good, entry(b"b.png", data, offset=more.pop("offset", after), **more))

    return {
        "claims_a_gigabyte": (second(method=8, packed=deflate(image), claimed=(1 << 30) - 1), ["ok", "unreadable"]),
        "claims_less_than_it_has": (second(zeros, method=8, packed=bomb, claimed=1000), ["ok", "unreadable"]),
        "claims_more_than_it_has": (
            second(method=8, packed=deflate(image), claimed=len(image) + 1),
            ["ok", "unreadable"],
        ),
        "expands_a_thousandfold": (second(zeros, method=8, packed=bomb), ["ok", "unsupported"]),
        "packed_beyond_the_end": (second(packed_size=1 << 30, claimed=1 << 30), ["ok", "unreadable"]),
        "offset_beyond_the_end": (second(offset=1 << 31), ["ok", "unreadable"]),
        "offset_into_a_member": (second(offset=after - 10), ["ok", "unreadable"]),
        "offset_of_64_bits": (
            second(offset=0xFFFFFFFF, extra=struct.pack("<HHQ", 1, 8, (1 << 64) - 16)),
            ["ok", "unreadable"],
        ),
        "sizes_of_64_bits": (
            second(claimed=0xFFFFFFFF, packed_size=0xFFFFFFFF, extra=struct.pack("<HHQQ", 1, 16, 1 << 63, 1 << 63)),
            ["ok", "too_large"],
        ),
        "extra_field_too_long": (second(extra=struct.pack("<HH", 1, 60000)), ["ok", "ok"]),
        "overlapping": (
            zip_of(good, entry(b"b.png", image, offset=0), entry(b"c.png", image, offset=0), rest=b"").replace(
                b"\0\0\0\0b.png" * 2, b""
            ),
            None,
        ),
        "encrypted": (second(flags=1), ["ok", "unreadable"]),
        "unknown_method": (second(method=93), ["ok", "unreadable"]),
        "check_sum_is_wrong": (second(crc=5), ["ok", "unreadable"]),
        "damaged_deflate": (second(method=8, packed=b"\xff" * 60), ["ok", "unreadable"]),
        "climbing_names": (
            zip_of(
                entry(b"../../etc/x.png", image),
                entry(b"..\\..\\y.png", image, offset=len(entry(b"../../etc/x.png", image)[0])),
            ),
            ["ok", "ok"],
        ),
        "name_with_a_zero": (second(b"x" + image).replace(b"b.png", b"b\0png"), None),
        "empty_name": (zip_of(entry(b"", image), good), None),
        "directory_beyond_the_end": (zip_of(good, size=1 << 30), "outside"),
        "directory_is_negative": (zip_of(good, offset=0xFFFFFFF0), "outside"),
        "directory_of_rubbish": (zip_of(good, rest=b"rubbish" * 20, offset=10), ["unreadable"]),
        "directory_cut": (zip_of(good, (b"", good[1][:30])), ["ok", "unreadable"]),
        "name_beyond_the_directory": (zip_of((good[0], good[1][:28] + b"\xff\xff" + good[1][30:])), ["unreadable"]),
        "comment_with_a_signature": (zip_of(good, comment=b"PK\5\6" * 4000), ["ok"]),
        "end_alone": (zip_of(), "no images in what was given"),
        "cut": (zip_of(good)[:-5], "its end is missing"),
        "locator_to_nowhere": (
            zip_of(good, size=0xFFFFFFFF)[:-22]
            + struct.pack("<IIQI", 0x07064B50, 0, 1 << 62, 1)
            + zip_of(good, size=0xFFFFFFFF)[-22:],
            "cut short",
        ),
    }


def good_zips():
    found = {}
    for kind, method in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            for name in ("red/1.png", "K\u00fcrbis.png", "readme.txt"):
                archive.writestr(zipfile.ZipInfo(name, TIME), png(len(name)), method)
            with archive.open(zipfile.ZipInfo("large.png", TIME), "w", force_zip64=True) as file:
                file.write(png(3))
        found[kind] = out.getvalue()
    return found


# ---- tables ----


def good_csvs():
    return {
        "quotes": b'\xef\xbb\xbfpath,label,"a ""b"""\r\n"x,1.png",red,"1\n2"\r\n\r\ny.png,,\n',
        "semicolons": b"path;label\nx.png;red\n",
        "utf8": "path\tname\nK\u00fcrbis.png\t\u00fc\n".encode(),
    }


def csvs():
    return {
        "quote_without_end": (b'path,label\n"x.png,red\n' + b"y.png,red\n" * 50, "within quotes"),
        "zero_byte": (b"path\nx\0.png\n", "a zero byte"),
        "zero_byte_in_quotes": (b'path\n"x\0.png"\n', "a zero byte"),
        "no_path": (b"file,label\nx,y\n", "no column 'path'"),
        "no_rows": (b"path,label\n", "no paths"),
        "no_bytes": (b"", "is empty"),
        "a_mark_alone": (b"\xef\xbb\xbf", "is empty"),
        "too_few_columns": (b"path,label\nx.png\n", "has 1 columns"),
        "too_many_columns": (b"path," + b"," * 2000 + b"\n", "more than 1000 columns"),
        "a_record_of_megabytes": (b'path\n"' + b"x" * (1 << 16), "within quotes"),
        "utf16": "path,label\nx.png,y\n".encode("utf-16"),
        "a_name_that_is_no_text": (b"path\nx\xff.png\n", ["missing"]),
        "a_quote_in_a_name": (b'path\nx"y.png\n', ["missing"]),
        "repeated_columns": (b"path,path,path,label,label\na.png,1,2,3,4\n", ["missing"]),
        "nothing_but_newlines": (b"path\n" + b"\n" * 1000, "no paths"),
    }


def good_json_lines():
    return {
        "keys": b'\xef\xbb\xbf{"path": "x,1.png", "label": "red", "n": 0.5, "b": true}\r\n\r\n'
        b'{"m": -3, "path": "y.png", "n": null, "nested": {"path": [1, {}]}}',
        "escapes": rb'{"PATH": "K\u00fcrbis\ud83c\udf4e\\u0000.png", "a \"b\"\n": ""}' + b"\n",
    }


def json_lines():
    deep = b'{"path": "x.png", "a": ' + b"[" * 3000
    return {
        "a_list": (b'["x.png"]\n', "is not a JSON object"),
        "cut": (b'{"path": "x.png"}\n{"path": "y', "is not a JSON object"),
        "too_deep": (deep + b"]" * 3000 + b"}\n", "is not a JSON object"),
        "zero_byte": (b'{"path": "x\0.png"}\n', "a zero byte"),
        "zero_escaped": (rb'{"path": "x\u0000.png"}', "a zero byte"),
        "no_path": (b'{"file": "x.png"}\n', "no path"),
        "no_rows": (b"\n \n", "no paths"),
        "path_twice": (b'{"path": "a.png", "path": "b.png"}\n', ["missing"]),
        "keys_that_are_no_text": (b'{"path": "x\xff.png", "\xff\xfe": 1, "": 2, "\xff": 3}\n', ["missing"]),
        "rounded": (b'{"path": "x.png", "id": 9007199254740993}\n', "rounded"),
        "utf16": '{"path": "x.png"}\n'.encode("utf-16"),
        "many_keys": b"".join(b'{"path": "x%d.png", "k%d": %d.5}\n' % (n, n, n) for n in range(200)),
    }


def good_images():
    """Parquet files; made by pyarrow."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    data, names = [png(1), png(2), None], ["a.png", None, "c.png"]
    image = pa.StructArray.from_arrays([pa.array(data), pa.array(names)], ["bytes", "path"])
    pixels = [{"origin": "o", "height": 2, "width": 3, "nChannels": 3, "mode": 16, "data": bytes(range(18))}, None]
    kind = pa.struct(
        [
            ("origin", pa.string()),
            ("height", pa.int32()),
            ("width", pa.int32()),
            ("nChannels", pa.int32()),
            ("mode", pa.int32()),
            ("data", pa.binary()),
        ]
    )
    tables = {
        "huggingface": pa.table({"image": image, "label": pa.array(["x", None, "y"]), "n": pa.array([1, 2, None])}),
        "spark": pa.table({"image": pa.array(pixels, kind)}),
        "content": pa.table(
            {
                "path": names,
                "content": pa.array(data, pa.binary()),
                "f": [0.5, float("nan"), None],
                "b": [True, None, False],
            }
        ),
        "paths": pa.table({"path": ["a.png", "b.png"], "label": ["x", "y"]}),
    }
    found = {}
    for name, table in tables.items():
        out = io.BytesIO()
        parquet.write_table(
            table, out, compression="snappy" if name == "spark" else "zstd", row_group_size=2, store_schema=False
        )
        found[name] = out.getvalue()
    return found


def write(folder):
    for kind, good, bad in (
        ("tar", good_tars(), tars()),
        ("zip", good_zips(), zips()),
        ("csv", good_csvs(), csvs()),
        ("jsonl", good_json_lines(), json_lines()),
        ("images", good_images(), {}),
    ):
        for where, files in (("seeds", good), ("hostile", bad)):
            for name, made in files.items():
                target = folder / where / kind / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(made[0] if isinstance(made, tuple) else made)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1] / "data")
