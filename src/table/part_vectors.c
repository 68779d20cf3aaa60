#include "table/part_reader.h"

/* Numbers whose levels are read at a time. */
#define BATCH 65536

coulis_status cl_part_measure(const cl_part_reader *reader, int32_t group, int64_t *length, coulis_error *error) {
    carquet_column_reader_t *column = NULL;
    int64_t count = 0;
    coulis_status status = cl_part_open_column(reader, group, reader->leaves[CL_COLUMN_VECTOR], &column, &count, error);
    if (status) return status;
    int16_t full = carquet_schema_max_def_level(carquet_reader_schema(reader->parquet),
                                                reader->leaves[CL_COLUMN_VECTOR]);
    int16_t *levels = cl_alloc(BATCH, 2 * sizeof *levels);
    double *values = cl_alloc(BATCH, sizeof *values); /* or floats */
    if (!levels || !values) status = cl_fail_memory(error, reader->path, BATCH * sizeof *values);
    int ended = 0;
    *length = 0;
    while (!status && !ended) {
        carquet_error_t problem = CARQUET_ERROR_INIT;
        int64_t got = carquet_column_read_batch_ex(column, values, BATCH, levels, levels + BATCH, &problem);
        if (problem.code) status = cl_part_fail(reader, &problem, error);
        if (status || got <= 0) break;
        for (int64_t i = 0; i < got && !ended; i++) {
            ended = *length > 0 && levels[BATCH + i] == 0;
            *length += !ended && levels[i] == full;
        }
    }
    carquet_column_reader_free(column);
    cl_free(levels);
    cl_free(values);
    return status;
}

/* Where the reading of a row group's vectors stands. */
typedef struct cursor {
    int64_t row;     /* rows begun */
    int64_t numbers; /* of the vector begun last; its length when the next begins */
    int64_t total;   /* numbers in all vectors so far */
} cursor;

/* How many of `count` entries from number i on are the next numbers of the vector that has begun: most are, and to ask
 * that of many together takes a fifth of the time. */
static int64_t next_numbers(const cl_part_reader *reader, const cursor *at, const int16_t *levels, int64_t i,
                            int64_t count, int16_t full) {
    if (at->numbers == 0 || at->numbers >= reader->length) return 0;
    const int64_t next = cl_smaller(reader->length - at->numbers, count - i);
    int16_t other = 0;
    for (int64_t j = i; j < i + next; j++) other = (int16_t)(other | (levels[j] ^ full) | (levels[BATCH + j] ^ 1));
    if (other == 0) return next;
    int64_t same = 0;
    while (levels[i + same] == full && levels[BATCH + i + same] == 1) same++;
    return same;
}

/* Takes one batch of levels: begins rows, counts numbers. */
static coulis_status take_levels(cl_part_reader *reader, int64_t count, const int16_t *levels, int64_t got,
                                 int16_t full, cursor *at, coulis_error *error) {
    for (int64_t i = 0; i < got; i++) {
        const int64_t next = next_numbers(reader, at, levels, i, got, full);
        at->numbers += next;
        at->total += next;
        i += next;
        if (i == got) break;
        if (levels[BATCH + i] == 0) {
            if (at->numbers != 0 && at->numbers != reader->length)
                return cl_part_bad(reader, "its vectors differ in length", error);
            if (at->row == count) return cl_part_bad(reader, "it has more vectors than rows", error);
            at->numbers = 0;
            at->row++;
        } else if (at->row == 0 || at->numbers == 0) {
            return cl_part_bad(reader, "a vector begins in the middle", error);
        }
        if (levels[i] == full) {
            if (at->numbers++ == 0) reader->row[at->row - 1].vector = reader->vectors + at->total;
            at->total++;
        } else if (levels[i] != 0 || levels[BATCH + i] != 0) {
            return cl_part_bad(reader, "a vector is empty or has a null in it", error);
        }
    }
    return COULIS_OK;
}

/* Refuses Spark's sparse vectors, whose values are only those that are not 0: they would be taken for vectors of
 * another length. */
static coulis_status check_dense(const cl_part_reader *reader, int32_t group, int64_t count, coulis_error *error) {
    carquet_column_reader_t *column = NULL;
    carquet_error_t problem = CARQUET_ERROR_INIT;
    int64_t entries = 0, present = 0;
    const int16_t full = carquet_schema_max_def_level(carquet_reader_schema(reader->parquet), reader->kind);
    coulis_status status = cl_part_open_column(reader, group, reader->kind, &column, &entries, error);
    if (status) return status;
    int32_t *kinds = cl_alloc((size_t)count, sizeof *kinds);
    int16_t *levels = cl_alloc((size_t)count, sizeof *levels);
    if (entries != count) status = cl_part_bad(reader, "a column has fewer values than rows", error);
    else if (!kinds || !levels) status = cl_fail_memory(error, reader->path, (size_t)count * 6);
    else if (carquet_column_read_batch_ex(column, kinds, count, levels, NULL, &problem) != count || problem.code)
        status = cl_part_fail(reader, &problem, error);
    for (int64_t i = 0; i < count && !status; i++) {
        if (full > 0 && levels[i] != full) continue;
        if (kinds[present++] != 1)
            status = cl_fail(error, COULIS_BAD_DATA,
                             "'%s' has sparse vectors; turn them into arrays with Spark's "
                             "vector_to_array",
                             reader->path);
    }
    carquet_column_reader_free(column);
    cl_free(kinds);
    cl_free(levels);
    return status;
}

/* Reads up to `wanted` levels, and the numbers that go with them to `to`. *got: how many levels. */
static coulis_status read_batch(const cl_part_reader *reader, carquet_column_reader_t *column, int64_t wanted,
                                int16_t *levels, int16_t full, double *wide, float *to, int64_t *got,
                                coulis_error *error) {
    carquet_error_t problem = CARQUET_ERROR_INIT;
    *got = carquet_column_read_batch_ex(column, wide ? (void *)wide : (void *)to, wanted, levels, levels + BATCH,
                                        &problem);
    if (problem.code) return cl_part_fail(reader, &problem, error);
    if (*got <= 0) return cl_part_bad(reader, "its vectors end too early", error);
    int64_t present = 0;
    for (int64_t i = 0; wide && i < *got; i++)
        if (levels[i] == full) to[present] = (float)wide[present], present++;
    return COULIS_OK;
}

coulis_status cl_part_read_vectors(cl_part_reader *reader, int32_t group, int64_t count, coulis_error *error) {
    carquet_column_reader_t *column = NULL;
    int64_t entries = 0;
    const int32_t leaf = reader->leaves[CL_COLUMN_VECTOR];
    const carquet_schema_t *schema = carquet_reader_schema(reader->parquet);
    const int16_t full = carquet_schema_max_def_level(schema, leaf);
    const bool doubles = carquet_schema_column_type(schema, leaf) == CARQUET_PHYSICAL_DOUBLE;
    coulis_status status = cl_part_open_column(reader, group, leaf, &column, &entries, error);
    if (status) return status;
    int16_t *levels = cl_alloc(BATCH, 2 * sizeof *levels);
    double *wide = doubles ? cl_alloc(BATCH, sizeof *wide) : NULL;
    cursor at = {0};
    if (entries < count || entries > GROUP_NUMBERS_MAX)
        status = cl_part_bad(reader, "a row group has an impossible number of values", error);
    else if (!levels || (doubles && !wide) || !(reader->vectors = cl_alloc((size_t)entries, sizeof *reader->vectors)))
        status = cl_fail_memory(error, reader->path, (size_t)entries * sizeof *reader->vectors);
    if (!status && reader->kind >= 0) status = check_dense(reader, group, count, error);
    for (int64_t done = 0; done < entries && !status;) {
        int64_t wanted = entries - done < BATCH ? entries - done : BATCH, got = 0;
        status = read_batch(reader, column, wanted, levels, full, wide, reader->vectors + at.total, &got, error);
        if (!status) status = take_levels(reader, count, levels, got, full, &at, error);
        done += got;
    }
    if (!status && (at.row != count || (at.numbers != 0 && at.numbers != reader->length)))
        status = cl_part_bad(reader, "its vectors end too early", error);
    const bool says_which = reader->leaves[CL_COLUMN_STATUS] >= 0;
    for (int64_t i = 0; i < count && !status && says_which; i++)
        if ((reader->row[i].vector != NULL) != (reader->row[i].status == COULIS_OK))
            status = cl_part_bad(reader, "a row has a vector without status ok, or the other way round", error);
    carquet_column_reader_free(column);
    cl_free(wide);
    cl_free(levels);
    return status;
}
