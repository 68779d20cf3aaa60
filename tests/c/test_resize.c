/* The resize kernels of every instruction set against a plain sum, and the streaming resizer against the
 * same two passes made the long way round over the whole image. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "image/axis.h"
#include "image/resize.h"
#include "test.h"

static const char *const level_names[] = {"scalar", "neon", "avx2", "avx512"};

static uint32_t random_state = 1;
static uint32_t next_random(void) {
    random_state = random_state * 1664525u + 1013904223u;
    return random_state >> 8;
}

/* Levels below the best one of an x86 processor are all there; NEON is not a level of it. */
static int level_exists(cl_cpu_level level) {
#if defined(__x86_64__)
    if (level == CL_CPU_NEON) return 0;
#endif
    return level <= cl_cpu();
}

static uint8_t clip(int64_t sum) {
    int64_t value = sum >> CL_RESIZE_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static void check_sum(cl_cpu_level level, size_t n, int64_t taps, int64_t slice) {
    const size_t stride = n + CL_RESIZE_GROUP, room = n + 3 * CL_RESIZE_GROUP;
    uint8_t *rows = cl_alloc((size_t)taps * stride + CL_RESIZE_GROUP, 1);
    int32_t *weights = cl_alloc((size_t)taps, sizeof *weights), *partial = cl_alloc(room, sizeof *partial);
    uint8_t *out = cl_alloc_zero(room, 1);
    for (size_t i = 0; i < (size_t)taps * stride + CL_RESIZE_GROUP; i++)
        rows[i] = next_random() % 4 ? (uint8_t)next_random() : 255;
    /* Of either sign, so that sums are clipped at both ends, and small enough for a sum of 32 bits. */
    for (int64_t t = 0; t < taps; t++) {
        int64_t size = (int64_t)next_random() % 7 - 3;
        weights[t] = (int32_t)(size * (1 << CL_RESIZE_BITS) / (2 * taps)) + (int32_t)(next_random() % 1000);
    }
    cl_resize_sum sum = {.stride = stride, .n = n, .partial = partial, .out = out};
    for (int64_t done = 0; done < taps; done += slice) {
        sum.taps = taps - done < slice ? taps - done : slice;
        sum.rows = rows + (size_t)done * stride;
        sum.weights = weights + done;
        sum.begin = done == 0;
        sum.end = done + sum.taps == taps;
        cl_resize_kernel_for(level)(&sum);
    }
    size_t wrong = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t expected = 1 << (CL_RESIZE_BITS - 1);
        for (int64_t t = 0; t < taps; t++) expected += (int64_t)weights[t] * rows[(size_t)t * stride + i];
        wrong += out[i] != clip(expected);
    }
    CHECK_MSG(wrong == 0, "%s, n %zu, taps %lld, slice %lld: %zu bytes", level_names[level], n, (long long)taps,
              (long long)slice, wrong);
    cl_free(rows);
    cl_free(weights);
    cl_free(partial);
    cl_free(out);
}

static void kernels_give_the_plain_sum(void) {
    for (cl_cpu_level level = CL_CPU_SCALAR; level <= CL_CPU_AVX512; level++) {
        if (!level_exists(level)) continue;
        for (size_t n = 1; n <= 200; n += n < 70 ? 1 : 13) {
            check_sum(level, n, 1 + (int64_t)(next_random() % 30), 1000);
            check_sum(level, n, 20, 7);
        }
    }
}

static cl_axis_part whole(int64_t samples) { return (cl_axis_part){samples, 0, (double)samples}; }

static void weights_sum_to_one(void) {
    static const int64_t sizes[][2] = {{1, 1}, {1, 224}, {2, 224}, {100, 224}, {224, 224}, {4000, 224}, {3, 1}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        cl_axis axis;
        CHECK(cl_axis_init(&axis, whole(sizes[s][0]), COULIS_FILTER_BICUBIC, sizes[s][1], 0, (int32_t)sizes[s][1]));
        for (int32_t o = 0; o < axis.count; o++) {
            const int32_t *weights = cl_axis_weights(&axis, o, axis.first[o], axis.taps[o], NULL);
            int64_t sum = 0;
            for (int64_t t = 0; t < axis.taps[o]; t++) sum += weights[t];
            /* Each weight is rounded by half a unit at most. */
            CHECK(llabs(sum - (1 << CL_RESIZE_BITS)) <= axis.taps[o]);
            CHECK(axis.first[o] >= 0 && axis.taps[o] >= 1 && axis.first[o] + axis.taps[o] <= axis.in);
            CHECK(o == 0 || axis.first[o] >= axis.first[o - 1]);
        }
        cl_axis_free(&axis);
    }
}

/* A side of 10 million pixels has no table; weights then come in slices. */
static void weights_without_a_table_are_the_same(void) {
    cl_axis axis;
    CHECK(cl_axis_init(&axis, whole(10000000), COULIS_FILTER_BICUBIC, 7, 0, 7));
    CHECK(axis.table == NULL);
    cl_axis_free(&axis);
    CHECK(cl_axis_init(&axis, whole(1000), COULIS_FILTER_BICUBIC, 7, 0, 7) && axis.table);
    cl_axis bare = axis;
    bare.table = NULL;
    int32_t slice[100];
    for (int32_t o = 0; o < 7; o++) {
        for (int64_t from = 0; from + 100 <= axis.taps[o]; from += 61) {
            const int32_t *kept = cl_axis_weights(&axis, o, axis.first[o] + from, 100, NULL);
            const int32_t *computed = cl_axis_weights(&bare, o, axis.first[o] + from, 100, slice);
            CHECK(computed == slice && memcmp(kept, computed, sizeof slice) == 0);
        }
    }
    cl_axis_free(&axis);
}

typedef struct plane {
    int32_t width, height;
    uint8_t *rgb;
} plane;

static plane new_plane(int32_t width, int32_t height) {
    return (plane){width, height, cl_alloc((size_t)width * (size_t)height * 3, 1)};
}

static uint8_t *pixel(plane p, int64_t x, int64_t y) { return p.rgb + (y * p.width + x) * 3; }

static plane one_pass(plane in, const cl_axis *axis, int vertical) {
    plane out = vertical ? new_plane(in.width, axis->count) : new_plane(axis->count, in.height);
    for (int32_t y = 0; y < out.height; y++) {
        for (int32_t x = 0; x < out.width; x++) {
            int32_t o = vertical ? y : x;
            const int32_t *weights = cl_axis_weights(axis, o, axis->first[o], axis->taps[o], NULL);
            for (int k = 0; k < 3; k++) {
                int64_t sum = 1 << (CL_RESIZE_BITS - 1);
                for (int64_t t = 0; t < axis->taps[o]; t++) {
                    int64_t at = axis->first[o] + t;
                    sum += (int64_t)weights[t] * pixel(in, vertical ? x : at, vertical ? at : y)[k];
                }
                pixel(out, x, y)[k] = clip(sum);
            }
        }
    }
    return out;
}

/* Pillow's rule for the order of the passes, stated again. */
static plane long_way(plane in, int32_t width, int32_t height) {
    cl_axis x, y;
    CHECK(cl_axis_init(&x, whole(in.width), COULIS_FILTER_BICUBIC, width, 0, width));
    CHECK(cl_axis_init(&y, whole(in.height), COULIS_FILTER_BICUBIC, height, 0, height));
    int vertical_first = in.height - height > 0 && in.height - height > (in.width - width) * 2;
    plane between = one_pass(in, vertical_first ? &y : &x, vertical_first);
    plane out = one_pass(between, vertical_first ? &x : &y, !vertical_first);
    cl_free(between.rgb);
    cl_axis_free(&x);
    cl_axis_free(&y);
    return out;
}

static void stream(plane in, cl_cpu_level level, int32_t width, int32_t height, uint8_t *rgb) {
    coulis_image_options options;
    coulis_image_options_init(&options, sizeof options);
    coulis_error error;
    cl_source image = {.options = &options, .width = width, .height = height, .error = &error};
    cl_decoder decoder = {.width = in.width, .height = in.height, .box = {0, 0, in.width, in.height}};
    cl_resizer *resizer = NULL;
    CHECK(cl_resizer_create(&image, &decoder, cl_resize_kernel_for(level), &resizer) == COULIS_OK);
    int32_t count, row = 0;
    for (uint8_t *const *rows = cl_resizer_rows(resizer, &count); count; rows = cl_resizer_rows(resizer, &count)) {
        for (int32_t i = 0; i < count; i++, row++) {
            for (int32_t x = 0; x < in.width; x++) {
                memcpy(rows[i] + 4 * x, pixel(in, x, row), 3);
                rows[i][4 * x + 3] = (uint8_t)next_random(); /* of no meaning */
            }
        }
        cl_resizer_take(resizer);
    }
    CHECK(row == in.height);
    cl_resizer_finish(resizer, rgb);
    cl_resizer_free(resizer);
}

static void streaming_gives_the_same_bytes(void) {
    /* Fewer and more rows than a block (16) and a chunk (128), wider than a block's limit (65,535), enlarged,
     * reduced, kept, and tall enough for the vertical pass to be first. */
    static const int32_t sizes[][4] = {
        {1, 1, 5, 7},       {1, 1, 1, 1},     {5, 3, 16, 16},     {100, 100, 224, 224}, {100, 100, 100, 100},
        {37, 129, 37, 20},  {37, 400, 64, 9}, {300, 257, 31, 40}, {20, 300, 50, 310},   {300, 20, 31, 20},
        {70000, 3, 11, 13}, {3, 2000, 7, 5},  {17, 300, 8, 64},   {9, 140, 5, 139},
    };
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        plane in = new_plane(sizes[s][0], sizes[s][1]);
        for (size_t i = 0; i < (size_t)in.width * (size_t)in.height * 3; i++) in.rgb[i] = (uint8_t)next_random();
        plane expected = long_way(in, sizes[s][2], sizes[s][3]);
        size_t bytes = (size_t)expected.width * (size_t)expected.height * 3;
        uint8_t *got = cl_alloc(bytes + 1, 1);
        for (cl_cpu_level level = CL_CPU_SCALAR; level <= CL_CPU_AVX512; level++) {
            if (!level_exists(level)) continue;
            memset(got, 0, bytes);
            got[bytes] = 0xA5;
            stream(in, level, expected.width, expected.height, got);
            CHECK_MSG(memcmp(got, expected.rgb, bytes) == 0, "%d x %d to %d x %d, %s", in.width, in.height,
                      expected.width, expected.height, level_names[level]);
            CHECK(got[bytes] == 0xA5);
        }
        cl_free(got);
        cl_free(expected.rgb);
        cl_free(in.rgb);
    }
}

static void the_same_size_is_the_same_image(void) {
    plane in = new_plane(33, 150);
    for (size_t i = 0; i < 33 * 150 * 3; i++) in.rgb[i] = (uint8_t)next_random();
    uint8_t *got = cl_alloc(33 * 150 * 3, 1);
    stream(in, cl_cpu(), 33, 150, got);
    CHECK(memcmp(got, in.rgb, 33 * 150 * 3) == 0);
    cl_free(got);
    cl_free(in.rgb);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    RUN(kernels_give_the_plain_sum);
    RUN(weights_sum_to_one);
    RUN(weights_without_a_table_are_the_same);
    RUN(streaming_gives_the_same_bytes);
    RUN(the_same_size_is_the_same_image);
    return test_finish();
}
