"""The ctypes declarations against include/coulis.h."""

import ctypes
import re
import shutil
import subprocess

import pytest
from coulis import _library

VALUES = {
    "void": None,
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "uint8_t": ctypes.c_uint8,
    "size_t": ctypes.c_size_t,
    "double": ctypes.c_double,
    "float": ctypes.c_float,
    "coulis_status": ctypes.c_int32,
}
OPTIONS = (
    "features",
    "precision",
    "resize",
    "filter",
    "center",
    "orient",
    "alpha",
    "decode",
    "truncated",
    "depth",
    "cmyk",
    "solver",
    "stage",
    "what",
    "dtype",
    "map",
)


@pytest.fixture(scope="module")
def header(repository):
    text = (repository / "include" / "coulis.h").read_text()
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def mirror(text):
    """The ctypes type that stands for a C type as the header writes it."""
    text = text.replace("const", " ")
    function = re.fullmatch(r"(.*?)\(\*\w*\)\((.*)\)", text.strip())
    if function:
        return ctypes.CFUNCTYPE(mirror(function.group(1)), *map(argument_mirror, function.group(2).split(",")))
    stars = text.count("*")
    base = text.replace("*", " ").split()[-1] if text.split() else ""
    if base == "char":
        return {1: ctypes.c_char_p, 2: ctypes.POINTER(ctypes.c_char_p)}[stars]
    if base == "void" and stars:
        return ctypes.c_void_p
    if base in _library.STRUCTS:
        kind = _library.STRUCTS[base]
    elif base in VALUES:
        kind = VALUES[base]
    else:
        assert base.startswith("coulis_") and stars, f"no mirror for {text!r}"
        kind, stars = ctypes.c_void_p, stars - 1  # a pointer to an opaque struct
    for _ in range(stars):
        kind = ctypes.POINTER(kind)
    return kind


def argument_mirror(text):
    """The same for an argument with its name, which is the last word."""
    return mirror(re.sub(r"\w+$", "", text.strip()))


def declared_functions(header):
    found = {}
    for result, name, arguments in re.findall(r"COULIS_API\s+([^;()]*?)(coulis_\w+)\s*\(([^;]*)\)\s*;", header):
        # commas between arguments, not those of a function pointer
        arguments = [] if arguments.strip() == "void" else re.split(r",(?![^(]*\))", arguments)
        found[name] = (mirror(result), [argument_mirror(argument) for argument in arguments])
    return found


def test_every_function_is_declared_as_in_the_header(header):
    functions = declared_functions(header)
    assert len(functions) == header.count("COULIS_API ") - header.count("#define COULIS_API ") and len(functions) > 30
    assert sorted(functions) == sorted(_library.FUNCTIONS)
    library = _library.library()
    for name, declaration in functions.items():
        function = getattr(library, name)
        assert declaration == (function.restype, function.argtypes), name


def test_version_is_the_headers(header):
    assert re.search(r'COULIS_VERSION "([^"]+)"', header).group(1) == _library.version()


def test_the_progress_callback_is_declared_as_in_the_header(header):
    field = re.search(r"int32_t \(\*progress\)\([^;]*\)", header).group(0)
    assert mirror(field) is _library.ProgressFunction


def declared_structs(header):
    structs = {}
    for body, name in re.findall(r"typedef struct \w+ \{(.*?)\} (\w+);", header, flags=re.S):
        structs[name] = []
        for field in body.split(";"):
            function = re.search(r"\(\*(\w+)\)\(", field)
            if function:
                structs[name].append(function.group(1))
            elif field.strip():
                structs[name] += re.findall(r"(\w+)(?:\[\w+\])?\s*(?:,|$)", field.strip())
    return structs


def test_structs_and_enums_are_laid_out_as_the_compiler_does(header, repository, tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        pytest.skip("no C compiler")
    structs = declared_structs(header)
    assert sorted(structs) == sorted(_library.STRUCTS)
    lines, expected = [], []
    for name, fields in structs.items():
        kind = _library.STRUCTS[name]
        assert [field for field, _ in kind._fields_] == fields, name
        last = getattr(kind, fields[-1])
        assert last.offset + last.size == ctypes.sizeof(kind), f"{name} ends with padding, where a new field would lie"
        lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
        expected.append(f"{name} {ctypes.sizeof(kind)}")
        for field in fields:
            where = getattr(kind, field)
            lines.append(
                f'printf("{name}.{field} %zu %zu\\n", offsetof({name}, {field}), sizeof((({name} *)0)->{field}));'
            )
            expected.append(f"{name}.{field} {where.offset} {where.size}")
    statuses = re.search(r"typedef enum coulis_status \{(.*?)\}", header, flags=re.S).group(1)
    for name in re.findall(r"COULIS_(\w+) =", statuses):
        lines.append(f'printf("{name} %d\\n", (int)COULIS_{name});')
        expected.append(f"{name} {_library.library().coulis_status_number(name.lower().encode())}")
    source = tmp_path / "layout.c"
    source.write_text(
        '#include <stdio.h>\n#include "coulis.h"\nint main(void) {\n' + "\n".join(lines) + "\nreturn 0;\n}\n"
    )
    program = tmp_path / "layout"
    subprocess.run([compiler, "-I", str(repository / "include"), str(source), "-o", str(program)], check=True)
    output = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
    assert output.split("\n")[:-1] == expected


def test_every_enum_has_its_words(header):
    assert sorted(re.findall(r"typedef enum coulis_(\w+)", header)) == sorted([*OPTIONS, "status"])
    for option in OPTIONS:
        members = re.findall(rf"\bCOULIS_{option.upper()}_(\w+)\s*=\s*(\d+)", header)
        assert [(word, str(number)) for number, word in enumerate(_library.words(option))] == [
            (member.lower().replace("_", "-"), number) for member, number in members
        ]
        for number, word in enumerate(_library.words(option)):
            assert _library.library().coulis_option_number(option.encode(), word.encode()) == number
    assert _library.library().coulis_option_number(b"alpha", b"white ") == -1
    assert _library.library().coulis_option_number(b"no option", b"white") == -1
    assert _library.words("no option") == ()


def test_variables_of_the_environment_are_named(repository):
    """The header says which the library reads."""
    header = (repository / "include" / "coulis.h").read_text()
    asked = {
        name
        for path in (repository / "src").rglob("*.c")
        for name in re.findall(r'getenv\("(\w+)"\)', path.read_text())
    }
    assert len(asked) > 5
    for name in asked:
        assert name in header or (name.startswith("AWS_") and "AWS_..." in header), name
