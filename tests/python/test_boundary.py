"""Programs built against other headers, with today's library."""

import re
import shutil
import subprocess

import pytest
from conftest import draw_image

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")

# Every struct lies before bytes that nobody may touch.
PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "coulis.h"

#define GUARDED(kind, name) struct { kind it; unsigned char guard[256]; } name; memset(&name, 0xA5, sizeof name)
#define INIT(kind, name) GUARDED(kind, name); kind##_init(&name.it, sizeof name.it); check(#kind, name.guard)
#define CHECK(call) \
    error.status = 99; \
    strcpy(error.message, "of the call before"); \
    if ((call) != COULIS_OK) { printf("%s: %s\n", #call, error.message); return 1; } \
    if (error.status != COULIS_OK || error.message[0]) { printf("%s left '%s'\n", #call, error.message); return 1; }

static void check(const char *what, const unsigned char *guard) {
    for (int i = 0; i < 256; i++)
        if (guard[i] != 0xA5) { printf("%s: wrote behind the struct\n", what); exit(1); }
}

static void each(void *context, const char *name, const char *path) { *(int *)context += name && path; }

int main(int argc, char **argv) {
    coulis_error error;
    static unsigned char rgb[32 * 32 * 3];
    INIT(coulis_image_options, image);
    INIT(coulis_image_info, info);
    INIT(coulis_model_options, how);
    INIT(coulis_model_info, model_info);
    INIT(coulis_featurizer_options, featurizer_options);
    INIT(coulis_pca_options, pca_options);
    INIT(coulis_moments_options, moments_options);
    INIT(coulis_index_options, index_options);
    INIT(coulis_job_options, job);
    INIT(coulis_job_result, result);
    INIT(coulis_collection_options, collection);
    INIT(coulis_source_options, choose);
    INIT(coulis_source_info, left_out);
    CHECK(coulis_image_load(argv[1], &image.it, 32, 32, rgb, &info.it, &error))
    check("coulis_image_load", info.guard);
    void *file = malloc(1 << 20);
    FILE *stream = fopen(argv[1], "rb");
    size_t size = stream ? fread(file, 1, 1 << 20, stream) : 0;
    CHECK(coulis_image_decode(file, size, NULL, 32, 32, rgb, NULL, &error))

    coulis_model *model;
    coulis_featurizer *featurizer;
    CHECK(coulis_model_open("efficientnet-lite0", &how.it, &model, &error))
    CHECK(coulis_model_describe(model, &model_info.it, &error))
    check("coulis_model_describe", model_info.guard);
    CHECK(coulis_featurizer_create(model, &featurizer_options.it, &featurizer, &error))
    static unsigned char pixels[224 * 224 * 3];
    static float vector[1280];
    coulis_input input = {.path = argv[1], .bytes = file, .byte_count = size};
    coulis_result outcome;
    CHECK(coulis_featurizer_run(featurizer, &input, 1, vector, &outcome, &error))
    coulis_pixels decoded = {.pixels = pixels, .width = 224, .height = 224, .channels = 3};
    CHECK(coulis_featurizer_run_images(featurizer, &decoded, 1, vector, &outcome, &error))
    CHECK(coulis_featurizer_run_pixels(featurizer, pixels, 1, vector, &error))
    coulis_featurizer_free(featurizer);
    coulis_model_close(model);
    char path[4096];
    int models = 0;
    CHECK(coulis_model_find("efficientnet-lite0", path, sizeof path, &error))
    CHECK(coulis_model_list(each, &models, &error))

    const float x[] = {1, 2, 3, 5, 8, 13};
    coulis_pca *pca;
    coulis_moments *moments;
    CHECK(coulis_pca_fit(x, 3, 2, &pca_options.it, &pca, &error))
    float scores[6], back[6];
    snprintf(path, sizeof path, "%s.pca", argv[3]);
    CHECK(coulis_pca_transform(pca, x, 3, 1, scores, &error))
    CHECK(coulis_pca_inverse_transform(pca, scores, 3, back, &error))
    CHECK(coulis_pca_set_recipe(pca, "{}", &error))
    CHECK(coulis_pca_check_recipe(pca, "{}", "vectors", &error))
    CHECK(coulis_pca_save(pca, path, &error))
    coulis_pca_free(pca);
    CHECK(coulis_pca_load(path, &pca, &error))
    coulis_pca_free(pca);
    coulis_moments *others;
    void *bytes;
    CHECK(coulis_moments_create(2, &moments_options.it, &moments, &error))
    CHECK(coulis_moments_create(2, NULL, &others, &error))
    CHECK(coulis_moments_update(moments, x, 3, &error))
    CHECK(coulis_moments_merge(moments, others, &error))
    CHECK(coulis_moments_finish(moments, NULL, &pca, &error))
    CHECK(coulis_moments_save(moments, &bytes, &size, &error))
    coulis_moments_free(others);
    CHECK(coulis_moments_load(bytes, size, NULL, &others, &error))
    coulis_bytes_free(bytes);
    coulis_moments_free(others);
    coulis_moments_free(moments);
    coulis_pca_free(pca);

    coulis_span *span;
    double sums[2], squares[2], products[2];
    float lowest[2], highest[2];
    CHECK(coulis_span_create(2, NULL, 0, NULL, 0, 1, &span, &error))
    CHECK(coulis_span_add(span, x, 3, &error))
    CHECK(coulis_span_statistics(span, sums, lowest, highest, &error))
    coulis_span_free(span);
    CHECK(coulis_span_create(2, sums, 1, x, 1, 1, &span, &error))
    CHECK(coulis_span_add(span, x, 3, &error))
    CHECK(coulis_span_products(span, products, squares, &error))
    coulis_span_free(span);

    coulis_index *index;
    coulis_pairs *pairs;
    int64_t rows[3];
    CHECK(coulis_index_create(x, 3, 2, &index_options.it, &index, &error))
    CHECK(coulis_index_search(index, x, 1, 3, scores, rows, &error))
    CHECK(coulis_index_pairs(index, NULL, 0.5, &pairs, &error))
    coulis_pairs_free(pairs);
    coulis_index_free(index);

    const char *paths[] = {argv[1], argv[2]};
    CHECK(coulis_job_run(paths, 2, argv[3], &job.it, &result.it, NULL, &error))
    check("coulis_job_run", result.guard);
    char other[4096], vectors[4096];
    snprintf(other, sizeof other, "%s.more/pca", argv[3]);
    snprintf(vectors, sizeof vectors, "%s.vectors", argv[3]);
    CHECK(coulis_job_featurize(paths, 2, vectors, NULL, NULL, NULL, &error))
    snprintf(path, sizeof path, "%s.fit", argv[3]);
    CHECK(coulis_job_fit(vectors, path, NULL, NULL, NULL, &error))
    CHECK(coulis_job_transform(vectors, path, other, NULL, NULL, NULL, &error))
    CHECK(coulis_job_verify(vectors, NULL, &error))
    snprintf(other, sizeof other, "%s.applied", argv[3]);
    CHECK(coulis_job_apply(paths, 2, argv[3], other, NULL, NULL, NULL, &error))
    coulis_source *source;
    CHECK(coulis_source_open(paths, 2, &choose.it, NULL, &source, &error))
    int64_t items;
    snprintf(path, sizeof path, "%s.list.csv", argv[3]);
    CHECK(coulis_source_write(source, path, &items, &error))
    coulis_source_describe(source, &left_out.it);
    check("coulis_source_describe", left_out.guard);
    coulis_source_close(source);
    coulis_job_result_init(&result.it, sizeof result.it);
    CHECK(coulis_job_run(paths, 2, argv[3], &job.it, &result.it, NULL, &error)) /* done by then */
    check("coulis_job_run", result.guard);
    char *json;
    const char *query = "0";
    CHECK(coulis_search(argv[3], &query, 1, &collection.it, &json, &error))
    snprintf(path, sizeof path, "%s.parquet", argv[3]);
    CHECK(coulis_dedup(argv[3], NULL, path, NULL, NULL, &error))
    CHECK(coulis_export(argv[3], path, NULL, NULL, &error))
    snprintf(path, sizeof path, "%s.html", argv[3]);
    CHECK(coulis_view(argv[3], path, NULL, NULL, &error))
    CHECK(coulis_contact_sheet(json, NULL, path, NULL, &error))
    coulis_string_free(json);
    printf("%s %d %d\n", coulis_version(), argc, (int)sizeof job.it);
    PRINT
    return 0;
}
"""


def fields_of(header, name):
    body = re.search(rf"typedef struct {name} \{{(.*?)\}} {name};", header, flags=re.S).group(1)
    return [field for field in re.sub(r"/\*.*?\*/", " ", body, flags=re.S).split(";") if field.strip()]


def sized_structs(header):
    names = re.findall(r"typedef struct (coulis_\w+) \{\s*size_t size;", header)
    return [name for name in names if f"{name}_init(" in header]


def header_of(header, change):
    """The header in which the fields of each struct that grows are those that `change` makes of today's."""
    for name in sized_structs(header):
        fields = change(name, fields_of(header, name))
        body = "".join(field + ";" for field in fields)
        pattern = rf"typedef struct {name} \{{.*?\}} {name};"
        header = re.sub(pattern, lambda _, b=body, n=name: f"typedef struct {n} {{{b}\n}} {n};", header, flags=re.S)
    return header


@pytest.fixture
def build_and_run(command, repository, tmp_path):
    if not COMPILER:
        pytest.skip("no C compiler")
    library = command.parent

    def run(header, more='puts("");'):
        (tmp_path / "coulis.h").write_text(header)
        (tmp_path / "program.c").write_text(PROGRAM.replace("PRINT", more))
        program = tmp_path / "program"
        subprocess.run(
            [
                COMPILER,
                "-std=c11",
                "-Wall",
                "-Werror",
                "-O1",
                f"-I{tmp_path}",
                str(tmp_path / "program.c"),
                "-o",
                str(program),
                f"-L{library}",
                "-lcoulis",
                f"-Wl,-rpath,{library}",
            ],
            check=True,
        )
        for number in (1, 2):
            draw_image(number).save(tmp_path / f"{number}.png")
        for made in tmp_path.glob("out*"):
            shutil.rmtree(made) if made.is_dir() else made.unlink()
        return subprocess.run(
            [program, tmp_path / "1.png", tmp_path / "2.png", tmp_path / "out"], capture_output=True, text=True
        )

    return run


@pytest.fixture(scope="module")
def header(repository):
    return (repository / "include" / "coulis.h").read_text()


def test_every_struct_that_grows_is_tried(header):
    assert len(sized_structs(header)) >= 9
    for name in sized_structs(header):
        assert f"INIT({name}, " in PROGRAM


# More images, a server, shards, rows that are elsewhere, a network of texts: tests of Python and of the command call
# these.
ELSEWHERE = (
    "coulis_cluster",
    "coulis_check",
    "coulis_job_merge",
    "coulis_pca_fit_spans",
    "coulis_featurizer_run_tokens",
)


def test_every_call_that_can_fail_is_tried(header):
    """On success nothing may stand in `error`: CHECK puts something there first."""
    names = re.findall(r"COULIS_API coulis_status (coulis_\w+)\(", header)
    assert len(names) > 20
    for name in names:
        assert f"CHECK({name}(" in PROGRAM or name in ELSEWHERE, name


@pytest.mark.quick(1)
@pytest.mark.parametrize("missing", [0, 1, 2, 100])
def test_a_program_built_with_a_header_of_the_past(build_and_run, header, missing):
    """The last fields of every struct are not there yet; but the size always was."""
    past = header_of(header, lambda name, fields: fields[:1] + fields[1:][: max(0, len(fields) - 1 - missing)])
    done = build_and_run(past)
    assert done.returncode == 0, done.stdout
    if missing == 100:
        assert done.stdout.split()[2] == "8"


def test_a_program_built_with_a_header_of_the_future(build_and_run, header):
    future = header_of(header, lambda name, fields: [*fields, "\n    int64_t later, much_later"])
    done = build_and_run(future)
    assert done.returncode == 0, done.stdout
    done = build_and_run(
        future,
        "pca_options.it.much_later = 1; int status = coulis_pca_fit(x, 3, 2, &pca_options.it, "
        '&pca, &error); printf("%d %s\\n", status, error.message);',
    )
    assert done.stdout.splitlines()[-1].startswith("10 coulis_pca_options: a field is set that this library")


def test_the_header_is_cpp(header, tmp_path):
    compiler = shutil.which("c++") or shutil.which("g++")
    if not compiler:
        pytest.skip("no C++ compiler")
    (tmp_path / "coulis.h").write_text(header)
    (tmp_path / "a.cpp").write_text('#include "coulis.h"\nint main() { coulis_job_options o; (void)o; }\n')
    subprocess.run(
        [compiler, "-std=c++11", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", str(tmp_path / "a.cpp")],
        check=True,
    )
